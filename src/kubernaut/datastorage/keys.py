"""The key that signs the trail: read from its file, and made there at the first start."""

import os
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from sqlalchemy.engine import make_url

from kubernaut.api.base import Unusable
from kubernaut.datastorage.chain import Signer, public_text

PRIVATE: Final = 0o600

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class BadKey(Unusable):
    """A key file that cannot be used."""


def signer_for(database: str, signing_key: str) -> Signer | None:
    """Return who signs: the key of the file that is set, else the one beside an SQLite file; None where there is neither."""
    if path := signing_key or beside(database):
        return read_or_make(Path(path))
    return None


def beside(database: str) -> str:
    """Return where the key of an SQLite file is; nothing for other databases, which several servers share."""
    url = make_url(database)
    return f"{url.database}.key" if url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"} else ""


def read_or_make(path: Path) -> Signer:
    """Return the signer of a PEM file, which is made, readable by its owner alone, when it is not there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError:
        return Signer(_private(path))
    except OSError as error:
        raise BadKey(f"the signing key {path} cannot be made: {error.strerror}; set datastorage.signing_key to a file") from error
    key = Ed25519PrivateKey.generate()
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    signer = Signer(key)
    log.info("a key that signs the audit trail was made", file=str(path), public_key=signer.public)
    return signer


def _private(path: Path) -> Ed25519PrivateKey:
    key = _loaded(path, private=True)
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(f"{path} holds no Ed25519 private key; openssl genpkey -algorithm ed25519 makes one")
    return key


def public_key(told: str) -> str:
    """Return a public key in base64, given so, or as the path of a PEM file; raise BadKey for anything else."""
    path = Path(told)
    if not path.is_file():
        return told
    key = _loaded(path, private=False)
    if isinstance(key, Ed25519PrivateKey):
        key = key.public_key()
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey(f"{path} holds no Ed25519 key")
    return public_text(key)


def _loaded(path: Path, *, private: bool) -> object:
    try:
        content = path.read_bytes()
        return load_pem_private_key(content, None) if private or b"PRIVATE" in content else load_pem_public_key(content)
    except OSError as error:
        raise BadKey(f"the key {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey(f"{path} is no key in PEM form without a password: {error}") from error
