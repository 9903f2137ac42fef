"""The stored copy of what came in: whole where it fits, cut in a stated way where it does not."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from kubernaut.api.base import Obj
from kubernaut.api.redact import redact, redact_value

PAYLOAD_LIMIT = 64 * 1024
TEXT_LIMITS = (8192, 1024, 128)
"""How long a text may be, tried in turn until the whole fits."""
LABEL_LIMIT = 1024
ANNOTATION_LIMIT = 4096
ENTRIES_LIMIT = 64
MARK = "…[cut]"


@dataclass(frozen=True, slots=True)
class Stored:
    """JSON text of at most `PAYLOAD_LIMIT` bytes, and the paths of the fields that were cut or left out."""

    text: str
    cut: tuple[str, ...]


def stored(envelope: Obj) -> Stored:
    """Return the stored form of a payload, without secrets."""
    envelope = redact_value(envelope)
    whole = _written(envelope)
    if len(whole.encode()) <= PAYLOAD_LIMIT:
        return Stored(whole, ())
    for limit in TEXT_LIMITS:
        cut: list[str] = []
        text = _written(_shortened(envelope, limit, "", cut))
        if len(text.encode()) <= PAYLOAD_LIMIT:
            return Stored(text, tuple(cut[:ENTRIES_LIMIT]))
    kept = {key: envelope[key] for key in ("version", "status", "receiver") if isinstance(envelope.get(key), str)}
    cut = []
    return Stored(_written(_shortened(kept, TEXT_LIMITS[-1], "", cut)), ("*",))


def bounded(texts: Mapping[str, str], limit: int) -> dict[str, str]:
    """Return at most 64 entries without secrets, with values of at most `limit` characters."""
    clean = [(redact(key), redact_value(value, key=key)) for key, value in sorted(texts.items())[:ENTRIES_LIMIT]]
    return {key[:253]: value if len(value) <= limit else value[:limit] + MARK for key, value in clean}


def _written(value: object) -> str:
    return orjson.dumps(value).decode()


def _shortened(value: object, limit: int, path: str, cut: list[str]) -> object:
    if isinstance(value, str) and len(value) > limit:
        cut.append(path)
        return value[:limit] + MARK
    if isinstance(value, dict):
        return {key: _shortened(item, limit, f"{path}.{key}".lstrip("."), cut) for key, item in value.items()}
    if isinstance(value, list):
        if len(value) > ENTRIES_LIMIT:
            cut.append(path)
        return [_shortened(item, limit, f"{path}[{index}]", cut) for index, item in enumerate(value[:ENTRIES_LIMIT])]
    return value
