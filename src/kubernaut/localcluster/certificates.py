"""A self-signed certificate for the cluster's own HTTPS, made without any library: kubectl sends its token over nothing else.

ECDSA over P-256 with SHA-256 (FIPS 186-5), DER by hand (X.690, RFC 5280). The key signs one certificate in its life, its own, at the
cluster's first start.
"""

import base64
import hashlib
import ipaddress
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import randbelow, token_bytes

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_SIZE = 32
_YEARS = timedelta(days=3650)
_EC, _P256, _ECDSA_SHA256, _COMMON_NAME = "1.2.840.10045.2.1", "1.2.840.10045.3.1.7", "1.2.840.10045.4.3.2", "2.5.4.3"
_SUBJECT_KEY, _AUTHORITY_KEY, _USAGE, _ALT_NAME, _CONSTRAINTS, _EXTENDED = (
    "2.5.29.14",
    "2.5.29.35",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.37",
)
_SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
_SEQUENCE, _SET, _INTEGER, _BITS, _OCTETS, _OID, _UTF8, _BOOLEAN, _TIME = 0x30, 0x31, 0x02, 0x03, 0x04, 0x06, 0x0C, 0x01, 0x18

Point = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Identity:
    """A key and its certificate, as PEM."""

    key: str
    certificate: str

    def context(self) -> ssl.SSLContext:
        """Return a TLS context for a server."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # the ssl module reads from files alone
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "identity.pem"
            path.touch(mode=0o600)
            path.write_text(self.key + self.certificate)
            made.load_cert_chain(path)
        return made


def _add(left: Point, right: Point) -> Point:
    """Add two points of the curve."""
    if left is None or right is None:
        return left or right
    if left[0] == right[0] and (left[1] + right[1]) % _P == 0:
        return None
    if left == right:
        slope = (3 * left[0] * left[0] - 3) * pow(2 * left[1], -1, _P) % _P
    else:
        slope = (right[1] - left[1]) * pow(right[0] - left[0], -1, _P) % _P
    across = (slope * slope - left[0] - right[0]) % _P
    return across, (slope * (left[0] - across) - left[1]) % _P


def _times(scalar: int) -> tuple[int, int]:
    """Multiply the base point."""
    result: Point = None
    addend: Point = _G
    while scalar:
        if scalar & 1:
            result = _add(result, addend)
        addend = _add(addend, addend)
        scalar >>= 1
    if result is None:
        raise ValueError("a private key is not zero")
    return result


def _sign(key: int, message: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(message).digest())
    nonce = randbelow(_N - 1) + 1
    first = _times(nonce)[0] % _N
    second = pow(nonce, -1, _N) * (digest + first * key) % _N
    return _der(_SEQUENCE, _integer(first), _integer(second))


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:  # noqa: PLR2004 - the short form of a length
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(size)]) + size + body


def _integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


def _oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    body = bytes([40 * first + second])
    for arc in rest:
        group = [arc & 0x7F]
        while arc := arc >> 7:
            group.insert(0, arc & 0x7F | 0x80)
        body += bytes(group)
    return _der(_OID, body)


def _bits(body: bytes, unused: int = 0) -> bytes:
    return _der(_BITS, bytes([unused]) + body)


def _time(moment: datetime) -> bytes:
    return _der(_TIME, moment.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode())


def _extension(oid: str, body: bytes, *, critical: bool = False) -> bytes:
    return _der(_SEQUENCE, _oid(oid), _der(_BOOLEAN, b"\xff") if critical else b"", _der(_OCTETS, body))


def _alternative(name: str) -> bytes:
    try:
        return _der(0x87, ipaddress.ip_address(name).packed)
    except ValueError:
        return _der(0x82, name.encode())


def _extensions(names: Iterable[str], key_id: bytes) -> bytes:
    return _der(
        _SEQUENCE,
        _extension(_CONSTRAINTS, _der(_SEQUENCE, _der(_BOOLEAN, b"\xff")), critical=True),
        # digital signature and certificate signing
        _extension(_USAGE, _bits(b"\x84", 2), critical=True),
        _extension(_EXTENDED, _der(_SEQUENCE, _oid(_SERVER_AUTH))),
        _extension(_SUBJECT_KEY, _der(_OCTETS, key_id)),
        _extension(_AUTHORITY_KEY, _der(_SEQUENCE, _der(0x80, key_id))),
        _extension(_ALT_NAME, _der(_SEQUENCE, *(_alternative(name) for name in names))),
    )


def _pem(label: str, body: bytes) -> str:
    text = base64.encodebytes(body).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n"


def make_identity(names: Iterable[str], now: datetime) -> Identity:
    """Make a key and a certificate for host names and addresses, good for ten years."""
    key = randbelow(_N - 1) + 1
    public = _times(key)
    point = b"\x04" + public[0].to_bytes(_SIZE) + public[1].to_bytes(_SIZE)
    algorithm = _der(_SEQUENCE, _oid(_ECDSA_SHA256))
    name = _der(_SEQUENCE, _der(_SET, _der(_SEQUENCE, _oid(_COMMON_NAME), _der(_UTF8, b"kubernaut-localcluster"))))
    body = _der(
        _SEQUENCE,
        _der(0xA0, _integer(2)),
        _integer(int.from_bytes(token_bytes(15)) + 1),
        algorithm,
        name,
        _der(_SEQUENCE, _time(now - timedelta(hours=1)), _time(now + _YEARS)),
        name,
        _der(_SEQUENCE, _der(_SEQUENCE, _oid(_EC), _oid(_P256)), _bits(point)),
        _der(0xA3, _extensions(names, hashlib.sha256(point).digest()[:20])),
    )
    private = _der(_SEQUENCE, _integer(1), _der(_OCTETS, key.to_bytes(_SIZE)), _der(0xA0, _oid(_P256)), _der(0xA1, _bits(point)))
    return Identity(_pem("EC PRIVATE KEY", private), _pem("CERTIFICATE", _der(_SEQUENCE, body, algorithm, _bits(_sign(key, body)))))
