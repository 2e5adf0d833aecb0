"""The contracts folder as it was at a git revision."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crossdock.errors import WrongUse


@contextmanager
def at_revision(folder: Path, revision: str) -> Iterator[Path]:
    """Gives a copy of a folder as it was committed at a revision, for as long as it is needed.

    A folder that was not there then is given empty.

    Raises:
        WrongUse: git is not installed, the folder stands in no repository, or that has no such revision.
    """
    folder = folder.absolute()
    prefix = _asked(folder, "rev-parse", "--show-prefix", fix="Name a folder of a git repository.").rstrip("\n")
    commit = _asked(
        folder, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}",
        fix="Name a branch, tag or commit that this clone has; in CI, fetch it first: git fetch origin main.",
    ).strip()  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="crossdock-revision-") as scratch:
        copy = Path(scratch) / folder.name
        copy.mkdir()
        # `<commit>:<folder>` has the folder's own files at its top.
        tree = f"{commit}:{prefix.rstrip('/')}"
        if _git(folder, "cat-file", "-e", tree).returncode == 0:
            archive = Path(scratch) / "archive.tar"
            # From within a subfolder git would look for that subfolder in the tree.
            top = Path(_asked(folder, "rev-parse", "--show-toplevel", fix="Name a folder of a work tree.").rstrip("\n"))
            _asked(top, "archive", "--format=tar", f"--output={archive}", tree, fix="Check the repository: git fsck.")
            with tarfile.open(archive) as tar:
                tar.extractall(copy, filter="data")
        yield copy


def _asked(folder: Path, *words: str, fix: str) -> str:
    done = _git(folder, *words)
    if done.returncode:
        said = done.stderr.strip().partition("\n")[0].removeprefix("fatal: ")
        raise WrongUse(f"git says: {said or 'nothing'}.", where=str(folder), fix=fix)
    return done.stdout


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - a list of words, no shell; a revision can't become an option
            ["git", "-C", str(folder), *words],  # noqa: S607 - whichever git people use
            capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise WrongUse("git is not installed.", where="--against", fix="Install git.") from None
