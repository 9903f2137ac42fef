"""Names that Tekton derives: children of runs, resolution requests and Pods; a reader who knows the run can tell them beforehand."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import orjson

from kubernaut.localcluster.errors import Obj

_LONGEST = 63
_DIGEST = 32
_HEAD = _LONGEST - _DIGEST
_FNV_OFFSET = 0x6C62272E07BB014262B821756295C58D
_FNV_PRIME = 0x0000000001000000000000000000013B
_NOT_LAST = re.compile(r"[^a-z0-9]+$")


def child_name(parent: str, suffix: str) -> str:
    """Join parent and suffix as knative's ChildName does: at most 63 characters, the front cut and an MD5 put in where it is longer."""
    if len(parent) + len(suffix) <= _LONGEST:
        return parent + suffix
    if len(suffix) < _HEAD:
        return parent[: _HEAD - len(suffix)] + _md5(parent) + suffix
    stem = parent[:_HEAD] + _md5(parent + suffix)
    return _NOT_LAST.sub("", stem + suffix[: _LONGEST - len(stem)])


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def task_run_name(run: str, task: str) -> str:
    """Return the name of the TaskRun of a pipeline task."""
    return child_name(run, f"-{task}")


def pod_name(task_run: str, attempt: int) -> str:
    """Return the name of the Pod of a TaskRun; attempts after the first have a suffix."""
    return child_name(task_run, "-pod" if attempt == 0 else f"-pod-retry{attempt}")


def request_name(resolver: str, owner: str, params: Sequence[Obj]) -> str:
    """Return the ResolutionRequest's name: an FNV-1a hash of `namespace/name` of the owner and of the parameters by name."""
    text = owner + "".join(f"{param['name']}{_hashed(param.get('value', ''))}" for param in sorted(params, key=_by_name))
    return f"{resolver}-{_fnv128a(text.encode()):032x}"


def _by_name(param: Obj) -> str:
    return str(param["name"])


def _hashed(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _fnv128a(data: bytes) -> int:
    digest = _FNV_OFFSET
    for byte in data:
        digest = ((digest ^ byte) * _FNV_PRIME) % (1 << 128)
    return digest
