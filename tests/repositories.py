"""Real git repositories for tests, whatever the configuration of the machine."""

import os
import subprocess

WHO = {
    f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "t"), ("EMAIL", "t@x"))
}


def git(folder, *words):
    """Runs git in a folder and returns what it prints."""
    done = subprocess.run(
        ["git", "-C", folder, "-c", "init.defaultBranch=main", *words],
        env=os.environ | WHO | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def commit(folder, message="x"):
    """Commits everything there is."""
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)
