"""What a change touched and how to take it back: JSON merge patches (RFC 7386) and their exact inverses; pure."""

from typing import Any

from kubernaut.api.base import Obj

OPERATION_ANNOTATION = "kubernaut.ai/operation"
"""`{uid of the KubernetesExecution}/{step}`, written in the same patch as the change: who sees it knows that it took effect."""


def merged(target: Any, patch: Any) -> Any:
    """Return the target with a merge patch applied."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def inverse(before: Obj, patch: Obj) -> Obj:
    """Return the merge patch that takes `patch` back, so that what comes out is what was before, as JSON, to the byte."""
    return {key: _inverse(before.get(key), value) for key, value in patch.items() if key in before or value is not None}


def _inverse(before: Any, value: Any) -> Any:
    """A null takes away what was not there; an object that stays an object is taken back member by member; the rest comes back whole."""
    if isinstance(before, dict) and isinstance(value, dict):
        return inverse(before, value)
    return before


def touched(obj: Obj, patch: Obj) -> Obj:
    """Return the fields of an object that a patch names, as they are; what is absent is left out."""
    return {key: touched(obj[key], value) if _both(obj[key], value) else obj[key] for key, value in patch.items() if key in obj}


def _both(one: Any, other: Any) -> bool:
    return isinstance(one, dict) and isinstance(other, dict)


def marked(patch: Obj, mark: str) -> Obj:
    """Return a patch that also marks the object as changed by an operation."""
    return merged_patches(patch, {"metadata": {"annotations": {OPERATION_ANNOTATION: mark}}})


def merged_patches(one: Obj, other: Obj) -> Obj:
    """Return one patch with the effect of two that do not contradict each other."""
    result = dict(one)
    for key, value in other.items():
        result[key] = merged_patches(result[key], value) if _both(result.get(key), value) else value
    return result


def mark_of(obj: Obj) -> str:
    """Return the operation that changed an object last; empty when none did."""
    return str((obj["metadata"].get("annotations") or {}).get(OPERATION_ANNOTATION) or "")
