"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902) as kube-apiserver applies them.

Neither changes its arguments; what did not change is shared with the result.
"""

import copy
from typing import Any

import jsonpatch
import jsonpointer
import orjson

Obj = dict[str, Any]

_OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})
MAX_OPERATIONS = 10_000
MAX_COPIED = 3 * 1024 * 1024


class PatchError(ValueError):
    """The patch cannot be applied to this object (the API server's 422)."""


def merge_patch(obj: Obj, patch: Obj) -> Obj:
    """Apply a JSON merge patch: null removes, objects merge, all else replaces."""
    merged = dict(obj)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            current = merged.get(key)
            merged[key] = merge_patch(current if isinstance(current, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def json_patch(obj: Obj, ops: list[Obj]) -> Obj:
    """Apply a JSON patch; as with kube, `replace` of a missing object member adds it.

    Raises PatchError when a test fails, a path is missing, an operation is unknown or there are more than 10,000.
    """
    if len(ops) > MAX_OPERATIONS:
        raise PatchError(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(ops)}")
    result: Any = copy.deepcopy(obj)
    copied = 0
    for op in ops:
        copied += _copied(result, op)
        if copied > MAX_COPIED:
            told = f"the accumulated size increase of copy is {copied}, exceeding the limit {MAX_COPIED}"
            raise PatchError(f"Unable to complete the copy, {told}")
        result = _apply(result, copy.deepcopy(op))
    if not isinstance(result, dict):
        raise PatchError("the patched document is no object")
    return result


def _copied(document: Any, op: Obj) -> int:
    """Return how many bytes an operation copies within the document: copies of copies double, so they are bounded."""
    if op.get("op") != "copy" or not isinstance(op.get("from"), str):
        return 0
    try:
        return len(orjson.dumps(jsonpointer.resolve_pointer(document, op["from"], None)))
    except (jsonpointer.JsonPointerException, orjson.JSONEncodeError) as fault:
        raise PatchError(str(fault)) from fault


def _apply(document: Any, op: Obj) -> Any:
    """Apply one operation in place."""
    if op.get("op") not in _OPERATIONS:
        raise PatchError(f"Unexpected kind: {op.get('op')}")
    if op["op"] == "replace" and _missing_member(document, op.get("path")):
        op = {**op, "op": "add"}
    try:
        return jsonpatch.JsonPatch([op]).apply(document, in_place=True)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError) as fault:
        raise PatchError(str(fault)) from fault


def _missing_member(document: Any, path: Any) -> bool:
    """Tell whether the path names a member that is not there, of an object that is."""
    if not isinstance(path, str) or "/" not in path:
        return False
    parent, _, name = path.rpartition("/")
    holder = jsonpointer.resolve_pointer(document, parent, None)
    return isinstance(holder, dict) and name.replace("~1", "/").replace("~0", "~") not in holder
