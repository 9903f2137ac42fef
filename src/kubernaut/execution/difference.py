"""Two states of an object side by side, for people: what they write of it, without what is secret."""

import difflib
from typing import Final

import yaml

from kubernaut.api.base import Obj
from kubernaut.api.redact import HIDDEN, redact_value
from kubernaut.execution.undo import OPERATION_ANNOTATION, content_of

DIFF_LIMIT: Final = 16_384
LINES: Final = 2000


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
    return yaml.safe_dump(redact_value(shown), sort_keys=True)
