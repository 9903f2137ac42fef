"""Names that follow from a pod template: `web-6d4cf56db6`."""

import zlib
from typing import Final

import orjson

from kubernaut.localcluster.api import Obj

__all__ = ["HASH_LABEL", "REVISION_LABEL", "template_hash", "without_hash"]

HASH_LABEL: Final = "pod-template-hash"
REVISION_LABEL: Final = "controller-revision-hash"
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Obj, collisions: int = 0) -> str:
    """Return a short name-safe hash of a template; `collisions` gives another one where a name was taken.

    Form and alphabet are those of kube-controller-manager, the value is not: that one hashes a dump of Go memory.
    """
    data = orjson.dumps(template, option=orjson.OPT_SORT_KEYS)
    number = zlib.crc32(data + (str(collisions).encode() if collisions else b""))
    return "".join(_LETTERS[ord(digit) % len(_LETTERS)] for digit in str(number))


def without_hash(template: Obj) -> Obj:
    """Return the template without the label that tells its hash: two templates are one when these are equal."""
    meta = template.get("metadata") or {}
    labels = {name: value for name, value in (meta.get("labels") or {}).items() if name != HASH_LABEL}
    kept = {name: value for name, value in meta.items() if name not in {"labels", "creationTimestamp"} and value}
    return {**template, "metadata": kept | ({"labels": labels} if labels else {})}
