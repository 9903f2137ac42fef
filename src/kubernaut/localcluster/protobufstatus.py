"""A Status in Kubernetes' protobuf encoding: the one answer that is given so, to callers who accept nothing else.

Go writes every field that is no pointer, empty ones too.
"""

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.protobuf import MAGIC

_VARINT, _BYTES = 0, 2
_SEVEN_BITS, _MORE = 0x7F, 0x80


def encode_status(status: Obj) -> bytes:
    """Return the envelope with a Status in it."""
    type_meta = _text(1, status["apiVersion"]) + _text(2, status["kind"])
    return MAGIC + _bytes(1, type_meta) + _bytes(2, _status(status)) + _text(3, "") + _text(4, "")


def _status(status: Obj) -> bytes:
    details = _bytes(5, _details(status["details"])) if "details" in status else b""
    told = _text(2, status.get("status", "")) + _text(3, status.get("message", "")) + _text(4, status.get("reason", ""))
    return _bytes(1, _list_meta(status["metadata"])) + told + details + _number(6, status.get("code", 0))


def _list_meta(meta: Obj) -> bytes:
    return _text(1, "") + _text(2, meta.get("resourceVersion", "")) + _text(3, meta.get("continue", ""))


def _details(details: Obj) -> bytes:
    causes = b"".join(_bytes(4, _cause(row)) for row in details.get("causes") or ())
    head = b"".join(_text(number, details.get(name, "")) for number, name in ((1, "name"), (2, "group"), (3, "kind")))
    return head + causes + _number(5, details.get("retryAfterSeconds", 0)) + _text(6, details.get("uid", ""))


def _cause(cause: Obj) -> bytes:
    return _text(1, cause.get("reason", "")) + _text(2, cause.get("message", "")) + _text(3, cause.get("field", ""))


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    octets = bytearray()
    while value > _SEVEN_BITS:
        octets.append(value & _SEVEN_BITS | _MORE)
        value >>= 7
    return bytes([*octets, value])
