"""Airflow's own secrets and users' passwords: made once, in files that only their owner may read; airflow.cfg names them.

`python -m crossdock.airflow.secrets` makes what is missing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.fernet import Fernet

from crossdock.exchange import find_home
from crossdock.keys import secret_file

FOLDER = Path("var", "secrets")
PASSWORDS = FOLDER / "passwords.json"
USERS = ("admin", "viewer")  # as in [core] simple_auth_manager_users


def make_secrets(home: Path) -> Path:
    """Makes the secrets that are missing, each whole or not at all, and returns their folder; what is there stays.

    Args:
        home: the exchange's folder, which is Airflow's home too.
    """
    folder = home / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name, make in _MADE.items():
        secret_file(folder / name, make)
        (folder / name).chmod(0o600)  # one that was copied here may be readable by others
    return folder


def password(home: Path, user: str) -> str:
    """Returns a user's password, for programs that log in for the one who started them."""
    known: dict[str, str] = json.loads((home / PASSWORDS).read_text("utf-8"))
    return known[user]


def _token() -> bytes:
    return secrets.token_urlsafe(48).encode()


def _passwords() -> bytes:
    return json.dumps({user: secrets.token_urlsafe(18) for user in USERS}).encode()


_MADE: Mapping[str, Callable[[], bytes]] = {
    "fernet_key": Fernet.generate_key,
    "api_secret": _token,
    "jwt_secret": _token,
    PASSWORDS.name: _passwords,
}

if __name__ == "__main__":
    make_secrets(find_home())
