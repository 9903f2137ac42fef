"""Two states of an object side by side, for people: what they write of it, without what is secret."""

import difflib
import re
from typing import Any, Final

import yaml

from kubernaut.api.base import Obj
from kubernaut.api.redact import HIDDEN
from kubernaut.execution.undo import OPERATION_ANNOTATION, content_of

DIFF_LIMIT: Final = 16_384
LINES: Final = 2000
TEXT_LIMIT: Final = 1024
_SECRET = re.compile(r"(?i)(password|passwd|secret|token|api_?key|credential|private_?key)$")


def difference(before: Obj | None, after: Obj) -> str:
    """Return a unified diff of what people write of two states of an object: labels, annotations, spec, data; cut at 16 KB."""
    one = _text(before).splitlines(keepends=True) if before else []
    other = _text(after).splitlines(keepends=True)
    return "".join(list(difflib.unified_diff(one, other, "before", "after"))[:LINES])[:DIFF_LIMIT]


def hidden_difference(patch: Obj) -> str:
    """Return which keys a patch of a Secret sets, without their values."""
    return "".join(f"+  {key}: {HIDDEN}\n" for key in sorted(patch.get("data") or {}))[:DIFF_LIMIT]


def _text(obj: Obj) -> str:
    metadata = obj["metadata"]
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != OPERATION_ANNOTATION}
    shown = {"metadata": {"labels": metadata.get("labels") or {}, "annotations": annotations}, **content_of(obj)}
    return yaml.safe_dump(_masked(shown), sort_keys=True)


def _masked(value: Any) -> Any:
    """Hide values under secret names, as `env` entries hold them: a difference is shown to people."""
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("value"), str) and _SECRET.search(str(value.get("name", ""))):
        return {**value, "value": HIDDEN}
    return {key: HIDDEN if isinstance(item, str) and _SECRET.search(key) else _masked(item) for key, item in value.items()}


def cut(text: str) -> str:
    """Return text that fits a status field."""
    return text if len(text) <= TEXT_LIMIT else f"{text[: TEXT_LIMIT - 1]}…"
