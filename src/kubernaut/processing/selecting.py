"""Which pods a label selector means, as Kubernetes reads it. Reads nothing, writes nothing."""

from collections.abc import Mapping
from typing import Any

from kubernaut.api.base import Obj


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector means an object with these labels: none at all means nothing, an empty one everything."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(each, labels) for each in selector.get("matchExpressions") or ())


def _holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = requirement.get("key", ""), requirement.get("values") or ()
    match requirement.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False


def labels_of(obj: Obj) -> Mapping[str, str]:
    """Return an object's labels."""
    return obj["metadata"].get("labels") or {}
