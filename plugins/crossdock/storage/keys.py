"""Object keys: what a safe one is, and the error when one is taken."""

from __future__ import annotations

from crossdock.errors import StorageConflict, WrongUse


def checked(key: str) -> str:
    """Returns the key if every store can keep it under just this name.

    Raises:
        WrongUse: a part of it is empty or begins with a dot (which ".." does too), or it holds backslashes or characters
            that can't be printed.
    """
    if any(not part or part.startswith(".") for part in key.split("/")) or "\\" in key or not key.isprintable():
        raise WrongUse(
            "This is no safe object key.",
            where=ascii(key),
            fix="Use printable names joined by '/', none of them beginning with '.'.",
        )
    return key


def checked_prefix(prefix: str) -> str:
    """Returns the folder part of a listing's prefix ("a/b/" and "a/b/c" both give "a/b"), checked like a key."""
    folder = prefix.rpartition("/")[0]
    return checked(folder) if folder else ""


def conflict(key: str) -> StorageConflict:
    """Returns the error for a create-only object that exists with other content."""
    return StorageConflict(
        "An object of this name exists with other content.",
        where=key,
        fix="Content-named objects never differ: the store was changed by hand, or two writers disagree.",
    )
