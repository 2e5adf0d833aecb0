import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet

from crossdock.airflow.secrets import FOLDER, PASSWORDS, USERS, make_secrets, password

NAMES = {"fernet_key", "api_secret", "jwt_secret", "passwords.json"}


@pytest.fixture
def home(tmp_path):
    make_secrets(tmp_path)
    return tmp_path


def contents(home):
    return {file.name: file.read_bytes() for file in (home / FOLDER).iterdir()}


def test_everything_is_made_for_the_owner_alone(home):
    assert set(contents(home)) == NAMES
    assert (home / FOLDER).stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (home / FOLDER).iterdir()} == {0o600}


def test_the_fernet_key_is_one(home):
    box = Fernet((home / FOLDER / "fernet_key").read_bytes())
    assert box.decrypt(box.encrypt(b"word")) == b"word"


def test_users_have_passwords_of_their_own(home):
    given = json.loads((home / PASSWORDS).read_text())
    assert set(given) == set(USERS)
    assert len(set(given.values())) == len(USERS)
    assert min(len(word) for word in given.values()) >= 20
    assert password(home, "viewer") == given["viewer"]


def test_what_is_there_stays_and_only_what_is_missing_is_made(home):
    before = contents(home)
    (home / FOLDER / "jwt_secret").unlink()
    make_secrets(home)
    after = contents(home)
    assert after["jwt_secret"] != before["jwt_secret"]
    assert {n: c for n, c in after.items() if n != "jwt_secret"} == {
        n: c for n, c in before.items() if n != "jwt_secret"
    }


def test_a_file_that_others_can_read_is_closed(home):
    (home / PASSWORDS).chmod(0o644)
    make_secrets(home)
    assert (home / PASSWORDS).stat().st_mode & 0o777 == 0o600


def test_many_at_once_agree(tmp_path):
    def make(_):
        folder = make_secrets(tmp_path)
        return {name: (folder / name).read_bytes() for name in NAMES}

    with ThreadPoolExecutor(8) as makers:
        seen = list(makers.map(make, range(16)))
    final = contents(tmp_path)
    assert set(final) == NAMES
    assert all(found == final for found in seen)


def test_no_two_homes_share_a_secret(home, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    make_secrets(other)
    assert not set(contents(home).values()) & set(contents(other).values())
