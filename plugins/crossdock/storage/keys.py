"""Object keys: what a safe one is, and the error when one is taken."""

from __future__ import annotations

from crossdock.errors import StorageConflict, WrongUse


def checked(key: str) -> str:
    """Returns the key if it is safe as a path below the store's root.

    Raises:
        WrongUse: it is absolute, leaves the root, is empty in a part, or holds control characters or backslashes.
    """
    parts = key.rstrip("/").split("/")
    if any(part in ("", ".", "..") for part in parts) or any(ord(c) < 32 or c in "\\\x7f" for c in key):
        raise WrongUse("This is no safe object key.", where=repr(key), fix="Use names joined by '/', without '..'.")
    return key


def conflict(key: str) -> StorageConflict:
    """Returns the error for a create-only object that exists with other content."""
    return StorageConflict(
        "An object of this name exists with other content.",
        where=key,
        fix="Content-named objects never differ: the store was changed by hand, or two writers disagree.",
    )
