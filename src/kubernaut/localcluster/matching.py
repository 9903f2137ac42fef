"""Which writes an admission rule is about: its match constraints."""

from collections.abc import Iterable

from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.selectors import label_selector_of


def matches(
    constraints: Obj,
    kind: ResourceKind,
    operation: str,
    subresource: str,
    objects: Iterable[Obj | None],
    namespace: Obj | None,
    *,
    without_rules: bool = False,
) -> bool:
    """Say whether constraints cover a write; `without_rules` is what holds where no resource rules are given."""
    if namespace is not None and not _selected(constraints.get("namespaceSelector"), [namespace]):
        return False
    if not _selected(constraints.get("objectSelector"), objects):
        return False
    name = next((str(obj["metadata"].get("name", "")) for obj in objects if obj is not None), "")
    if any(_covers(rule, kind, operation, subresource, name) for rule in constraints.get("excludeResourceRules") or []):
        return False
    rules = constraints.get("resourceRules") or []
    return any(_covers(rule, kind, operation, subresource, name) for rule in rules) if rules else without_rules


def names_kind(constraints: Obj, kind: ResourceKind) -> bool:
    """Say whether some rule is about a kind, whatever is done to which of its objects."""
    rules = constraints.get("resourceRules") or []
    return any(_in(rule.get("apiGroups"), kind.group) and _about(rule, kind.plural) for rule in rules)


def _about(rule: Obj, plural: str) -> bool:
    return any(pattern.partition("/")[0] in ("*", plural) for pattern in rule.get("resources") or [])


def _selected(selector: Obj | None, objects: Iterable[Obj | None]) -> bool:
    if not selector:
        return True
    accepts = label_selector_of(selector)
    return any(obj is not None and accepts(obj["metadata"].get("labels") or {}) for obj in objects)


def _covers(rule: Obj, kind: ResourceKind, operation: str, subresource: str, name: str) -> bool:
    if (
        not _in(rule.get("apiGroups"), kind.group)
        or not _in(rule.get("apiVersions"), kind.version)
        or not _in(rule.get("operations"), operation)
    ):
        return False
    if rule.get("resourceNames") and name not in rule["resourceNames"]:
        return False
    scope = rule.get("scope") or "*"
    if scope != "*" and (scope == "Namespaced") != kind.namespaced:
        return False
    return any(_names(pattern, kind.plural, subresource) for pattern in rule.get("resources") or [])


def _in(values: Iterable[str] | None, value: str) -> bool:
    given = list(values or ())
    return "*" in given or value in given


def _names(pattern: str, plural: str, subresource: str) -> bool:
    resource, slash, part = pattern.partition("/")
    if resource not in ("*", plural):
        return False
    return part in ("*", subresource) if slash else not subresource
