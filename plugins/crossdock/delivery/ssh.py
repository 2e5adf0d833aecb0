"""How we log in to a consumer's SSH server: what its connection must say, and that nothing else is asked.

The connection is of Airflow's type sftp or ssh: host, port, login, and a password or a private key (`private_key` or
`key_file` in its extra, with `private_key_passphrase`). Its extra names the consumer's folder (`path`) and holds the
server's public key (`host_key`, one or more lines such as "ssh-ed25519 AAAA..."). No known_hosts, no settings, no key
and no agent of the user under whom we run is used.
"""

from __future__ import annotations

import asyncssh

from crossdock.connections import Connection
from crossdock.errors import ConsumerRefused

_KINDS = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256"
)  # fmt: skip


def folder_of(connection: Connection) -> str:
    """Returns the consumer's folder.

    Raises:
        ConsumerRefused: the connection names none.
    """
    path = str(connection.extra.get("path") or "")
    if not path or "\0" in path:
        raise _incomplete(connection, "names no folder", "Put the consumer's folder into its extra as `path`.")
    return path


def options_of(connection: Connection, timeout: float) -> asyncssh.SSHClientConnectionOptions:
    """Returns all that asyncssh needs to log in, within so many seconds.

    Raises:
        ConsumerRefused: the connection lacks something, or holds a key that can't be read.
    """
    if not connection.login or not _proper(connection.host):
        raise _incomplete(connection, "has no proper host or no login", "State both.")
    host_keys, key = _host_keys(connection), _private_key(connection)
    if not key and not connection.password:
        raise _incomplete(connection, "has neither password nor key", "Set a password, or `key_file` in its extra.")
    return asyncssh.SSHClientConnectionOptions(
        known_hosts=(host_keys, [], []),
        server_host_key_algs=_kinds(host_keys),
        encryption_algs="^aes256-gcm@openssh.com,aes128-gcm@openssh.com",  # the fastest first; the rest may follow
        username=connection.login,
        password=connection.password or None,
        client_keys=[key] if key else None,
        agent_path=None,
        gss_host=None,
        connect_timeout=timeout,
        login_timeout=timeout,
        keepalive_interval=15,
    )


def _proper(host: str) -> bool:
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def _host_keys(connection: Connection) -> list[asyncssh.SSHKey]:
    lines = [line for line in str(connection.extra.get("host_key") or "").splitlines() if line.strip()]
    try:
        keys = [asyncssh.import_public_key(line) for line in lines]
    except asyncssh.KeyImportError:
        keys = []
    if not keys:
        raise _incomplete(
            connection,
            "has no proper `host_key`, so we can't tell the consumer's server from another",
            "Ask the server's operator for its public host key, and put it into the extra as `host_key`: "
            "ssh-ed25519 AAAA...",
        )
    return keys


def _kinds(host_keys: list[asyncssh.SSHKey]) -> list[str]:
    """Returns the kinds of host key to ask for: the pinned ones first, others so that a wrong key is seen as such."""
    pinned = {key.get_algorithm() for key in host_keys}
    return sorted(_KINDS, key=lambda kind: ("ssh-rsa" if kind.startswith("rsa") else kind) not in pinned)


def _private_key(connection: Connection) -> asyncssh.SSHKey | None:
    text, file = connection.extra.get("private_key"), connection.extra.get("key_file")
    passphrase = str(connection.extra.get("private_key_passphrase") or "") or None
    try:
        if text:
            return asyncssh.import_private_key(str(text), passphrase)
        return asyncssh.read_private_key(str(file), passphrase) if file else None
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError) as error:
        kind = type(error).__name__
    raise _incomplete(connection, f"has a private key that can't be read ({kind})", "Check key and passphrase.")


def _incomplete(connection: Connection, what: str, fix: str) -> ConsumerRefused:
    return ConsumerRefused(f"The connection {what}.", where=f"connection {connection.id}", fix=fix)
