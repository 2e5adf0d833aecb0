"""The exchange's secrets: a ledger key, a signing key, and a pseudonym key per consumer, in files only we can read.

| file                | what it is                                                                               |
|---------------------|------------------------------------------------------------------------------------------|
| `ledger_key`        | version 1 of the ledger key: hashes records and subjects; ids and pads are derived from it |
| `ledger_key.N`      | its later versions: the newest seals those hashes (`ledger.seals`), the others are for finding |
| `protection_key`    | version 1 of the root from which each consumer's pseudonym key is derived                |
| `protection_key.N`  | its later versions; the newest is in use, the others tell what old pseudonyms were       |
| `signing_key.pem`   | signs manifests and the ledger's heads; `public_key.pem` checks what it signed           |
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from crossdock.errors import Permanent, WrongUse
from crossdock.identity import canonical

KEY_BYTES = 32
PROTECTION, LEDGER = "protection_key", "ledger_key"  # the keys that have versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What the exchange signs and hashes with. `repr` shows none of it."""

    ledger: bytes = field(repr=False)  # of record and subject hashes in the ledger: the key's first version
    ledger_seals: Mapping[int, bytes] = field(default_factory=dict, repr=False)  # its later versions, by number
    protection: bytes = field(repr=False)  # root from which each consumer's pseudonym key is derived
    protection_version: int = field(default=1, repr=False)
    signing: Ed25519PrivateKey = field(repr=False)

    @property
    def ledger_version(self) -> int:
        """The version of the ledger key under which events are booked from now on."""
        return max(self.ledger_seals, default=1)

    def of_consumer(self, consumer: str) -> bytes:
        """Returns a consumer's pseudonym key: the same person gets other pseudonyms at another consumer."""
        return hashlib.blake2b(consumer.encode(), key=self.protection, digest_size=KEY_BYTES).digest()

    def private_id(self, *parts: object) -> str:
        """Returns 32 hex characters that name the parts, in order, in this exchange for ever.

        It is `identity.content_id` for what whole rows have gone into, such as a file's SHA-256: the id leaves, and
        nobody without the key can try on it what the rows may be.
        """
        return hashlib.blake2b(canonical(parts), key=self._derived(b"private id"), digest_size=16).hexdigest()

    def pad(self, delivery: str, part: str) -> bytes:
        """Returns the 16 bytes that hide one part's digest of one delivery (`ledger.blinding`): the same ones for ever."""
        message = canonical((delivery, part))
        return hashlib.blake2b(message, key=self._derived(b"digest pad"), digest_size=16).digest()

    def _derived(self, purpose: bytes) -> bytes:
        """Returns a key for one purpose, at most 16 bytes, from the ledger key's first version: that one never goes."""
        return hashlib.blake2b(key=self.ledger, person=purpose, digest_size=KEY_BYTES).digest()

    def public(self) -> Ed25519PublicKey:
        """Returns the key with which anyone checks our signatures."""
        return self.signing.public_key()

    def sign(self, data: bytes) -> str:
        """Returns the Ed25519 signature of the data as hex."""
        return self.signing.sign(data).hex()

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Reads the keys of a folder, making those that are missing (mode 0600, in a folder of mode 0700).

        `public_key.pem` beside them is for everybody: consumers and auditors check signatures with it.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (LEDGER, PROTECTION):
            secret_file(folder / name, _fresh)
        first, *later = key_versions(folder, LEDGER)
        newest = key_versions(folder, PROTECTION)[-1]
        pem = secret_file(
            folder / "signing_key.pem",
            lambda: Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
        signing = load_pem_private_key(pem, password=None)
        if not isinstance(signing, Ed25519PrivateKey):
            raise Permanent("The signing key is not an Ed25519 key.", where=str(folder / "signing_key.pem"))
        public = folder / "public_key.pem"
        if not public.exists():
            public.write_bytes(signing.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return cls(
            ledger=first.read(),
            ledger_seals={each.version: each.read() for each in later},
            protection=newest.read(),
            protection_version=newest.version,
            signing=signing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a key."""

    version: int
    path: Path

    @property
    def made_at(self) -> datetime:
        """When its file was made."""
        return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)

    def read(self) -> bytes:
        """Returns the key."""
        return bytes.fromhex(self.path.read_text().strip())


def key_versions(folder: Path, name: str) -> list[Version]:
    """Returns the versions of a key (PROTECTION or LEDGER) in a folder of keys, the newest, which is in use, last."""
    found = [Version(version=1, path=folder / name)]
    for path in folder.glob(f"{name}.*"):
        number = path.name.removeprefix(f"{name}.")
        if number.isdecimal() and number.isascii() and int(number) > 1:
            found.append(Version(version=int(number), path=path))
    return sorted(found, key=lambda each: each.version)


def rotate(folder: Path, name: str) -> Version:
    """Makes a new version of a key, which every process that opens the folder from now on uses."""
    number = key_versions(folder, name)[-1].version + 1
    path = folder / f"{name}.{number}"
    secret_file(path, _fresh)
    return Version(version=number, path=path)


def _fresh() -> bytes:
    return secrets.token_hex(KEY_BYTES).encode()


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Returns the key in a PEM file.

    Raises:
        WrongUse: there is none, or one of another kind.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise WrongUse("No public key can be read here.", where=str(path), fix=_PUBLIC) from error
    if not isinstance(key, Ed25519PublicKey):
        raise WrongUse("This is no Ed25519 key.", where=str(path), fix=_PUBLIC)
    return key


_PUBLIC = "Name the exchange's public_key.pem."


def secret_file(path: Path, make: Callable[[], bytes]) -> bytes:
    """Returns the file's content; creates it whole or not at all when missing, so that two processes agree on one."""
    if not path.exists():
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(make())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # Another process was first: its key is the key.
        finally:
            fresh.unlink()
    return path.read_bytes().strip()
