"""A real MySQL server for tests: Debian has it in its unstable suite only, so it runs from a folder, with libraries of its own."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from packages import PATIENCE as APT_PATIENCE
from ports import PATIENCE
from servers import BEGIN, MariaDb, serving

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_OTHERWISE = "NOTHING WAS DELIVERED TO MYSQL"


@pytest.fixture(scope="session")
def mysql() -> Iterator[MariaDb]:
    """Debian's newest MySQL, run by an unprivileged user when we are root; nothing is installed on the machine."""
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="crossdock-mysql-", dir=tempfile.gettempdir()))
    folder.chmod(0o755)  # the server's user reads its libraries
    try:
        root = _unpacked(folder)
        (running := folder / "running").mkdir()
        if user:
            shutil.chown(running, user)
        libraries, begin = root / "usr/lib/x86_64-linux-gnu", folder / "begin.sql"
        begin.write_text(BEGIN)
        program = [
            str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries), str(root / "usr/sbin/mysqld"), "--no-defaults",
            f"--datadir={running / 'data'}", f"--lc-messages-dir={root / 'usr/share/mysql'}",
            f"--character-sets-dir={root / 'usr/share/mysql/charsets'}", "--secure-file-priv=NULL",
        ]  # fmt: skip
        subprocess.run(
            [*program, "--initialize-insecure"],
            check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=running, user=user,
        )  # fmt: skip
        with serving([*program, "--mysqlx=OFF"], "MySQL", begin, running, user) as made:
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _mirror() -> str:
    """Returns where this machine has its Debian from; "" where it has none."""
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    if release.get("ID") != "debian" or not Path(_KEYRING).exists():
        return ""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    found = dict(line.split() for line in told.stdout.splitlines())
    return found.get(release["VERSION_CODENAME"], "")


def _unpacked(folder: Path) -> Path:
    """Downloads the server with all that it needs and unpacks it; where that can't be, the tests do not run and say so."""
    mirror = _mirror()
    if not mirror or platform.machine() != "x86_64":
        pytest.skip(f"{_OTHERWISE}: this is no Debian on x86-64")
    apt = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()  # nothing counts as installed: the server comes with its own C library
    (apt / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {mirror} sid main\n")
    options = {
        "Dir::Etc::sourcelist": apt / "sources.list", "Dir::Etc::sourceparts": "/dev/null", "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt / "cache", "Dir::State::status": apt / "status", "Debug::NoLocking": 1, "APT::Sandbox::User": "",
    }  # fmt: skip
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    for step in (["update"], ["install", "--download-only", "-y", "--no-install-recommends", "mysql-server-core"]):
        try:
            done = subprocess.run(
                ["apt-get", *given, *step], capture_output=True, text=True, timeout=APT_PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"{_OTHERWISE}: apt-get {step[0]} took more than {APT_PATIENCE} s")
        if done.returncode:
            pytest.skip(f"{_OTHERWISE}: apt-get {step[0]} failed: {done.stderr.strip().splitlines()[-1:]}")
    for package in (apt / "cache" / "archives").glob("*.deb"):
        if "perl" not in package.name:  # of scripts beside the server
            subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True, timeout=PATIENCE)
    shutil.rmtree(apt)
    return folder / "root"
