"""What admission policies, their bindings and webhooks must be: expressions that compile, actions that go together.

Words are those of kube-apiserver.
"""

import re
from collections.abc import Iterator, Mapping

from kubernaut.localcluster import cel
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.faults import Fault, child, duplicate, forbidden, invalid, not_supported, required
from kubernaut.localcluster.formats import qualified_name

_CONDITIONS = ("object", "oldObject", "request", "authorizer")
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_ACTIONS = ("Audit", "Deny", "Warn")
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
_POLICIES = ("Fail", "Ignore")
_TYPES: Mapping[str, tuple[frozenset[str], str]] = {
    "bool": (frozenset({"BOOL", "DYN"}), "must evaluate to bool"),
    "string": (frozenset({"STRING", "DYN"}), "must evaluate to string"),
    "text": (frozenset({"STRING", "NULL", "DYN"}), "must evaluate to one of [string null_type]"),
}


def policy(spec: Obj, path: str) -> Iterator[Fault]:
    """Yield what is wrong with the spec of a ValidatingAdmissionPolicy."""
    yield from _one_of(spec, path, "failurePolicy", _POLICIES)
    if not (spec.get("matchConstraints") or {}).get("resourceRules"):
        where = "matchConstraints.resourceRules" if spec.get("matchConstraints") else "matchConstraints"
        yield required(child(path, where))
    known = (*_CONDITIONS, "params") if spec.get("paramKind") else _CONDITIONS
    yield from conditions(spec, path, known)
    scope = (*known, "namespaceObject", "variables")
    yield from _variables(spec, path, scope)
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        yield required(child(path, "validations"), "validations or auditAnnotations must contain at least one item")
    for index, row in enumerate(spec.get("validations") or ()):
        yield from _validation(row, f"{child(path, 'validations')}[{index}]", scope)
    for index, row in enumerate(spec.get("auditAnnotations") or ()):
        at = f"{child(path, 'auditAnnotations')}[{index}]"
        yield from () if row.get("key") else [required(f"{at}.key")]
        yield from _expression(row, "valueExpression", at, "text", scope)


def _one_of(value: Obj, path: str, field: str, allowed: tuple[str, ...]) -> Iterator[Fault]:
    if value.get(field) and value[field] not in allowed:
        yield not_supported(child(path, field), value[field], allowed)


def _validation(row: Obj, at: str, scope: tuple[str, ...]) -> Iterator[Fault]:
    yield from _expression(row, "expression", at, "bool", scope)
    if row.get("messageExpression"):
        yield from _expression(row, "messageExpression", at, "string", scope)
    if "\n" in (row.get("message") or ""):
        yield invalid(f"{at}.message", row["message"], "message must not contain line breaks")
    yield from _one_of(row, at, "reason", _REASONS)


def _variables(spec: Obj, path: str, scope: tuple[str, ...]) -> Iterator[Fault]:
    for index, row in enumerate(spec.get("variables") or ()):
        at, name = f"{child(path, 'variables')}[{index}]", row.get("name") or ""
        if not name:
            yield required(f"{at}.name", "name is not specified")
        elif not _IDENTIFIER.fullmatch(name):
            yield invalid(f"{at}.name", name, "name is not a valid CEL identifier")
        yield from _expression(row, "expression", at, "", scope)


def conditions(holder: Obj, path: str, known: tuple[str, ...] = _CONDITIONS) -> Iterator[Fault]:
    """Yield what is wrong with match conditions, of a policy or a webhook."""
    seen: set[str] = set()
    for index, row in enumerate(holder.get("matchConditions") or ()):
        at, name = f"{child(path, 'matchConditions')}[{index}]", row.get("name") or ""
        yield from _expression(row, "expression", at, "bool", known)
        if not name:
            yield required(f"{at}.name")
        yield from (invalid(f"{at}.name", name, words) for words in (qualified_name(name) if name else ()))
        if name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)


def _expression(row: Obj, field: str, at: str, wanted: str, scope: tuple[str, ...]) -> Iterator[Fault]:
    """Yield what is wrong with an expression: it is missing, does not compile, or has another type than wanted (empty: any)."""
    text = row.get(field) or ""
    if not text.strip():
        yield required(f"{at}.{field}", f"{field} is not specified")
        return
    try:
        program = cel.compile(text, dict.fromkeys(scope, "dyn"))
    except cel.CelError as error:
        yield invalid(f"{at}.{field}", text, f"compilation failed: {error.text}")
        return
    allowed, words = _TYPES.get(wanted, (frozenset({program.return_type}), ""))
    if program.return_type not in allowed:
        yield invalid(f"{at}.{field}", text, words)


def binding(spec: Obj, path: str) -> Iterator[Fault]:
    """Yield what is wrong with the spec of a ValidatingAdmissionPolicyBinding."""
    if not spec.get("policyName"):
        yield required(child(path, "policyName"))
    actions = spec.get("validationActions") or []
    if not actions:
        yield required(child(path, "validationActions"))
    for index, action in enumerate(actions):
        at = f"{child(path, 'validationActions')}[{index}]"
        yield from () if action in _ACTIONS else [not_supported(at, action, _ACTIONS)]
        yield from [duplicate(at, action)] if action in actions[:index] else []
    if {"Deny", "Warn"} <= set(actions):
        why = "repeating the same validation failure in the API response and headers serves no purpose"
        yield invalid(child(path, "validationActions"), actions, f"must not contain both Deny and Warn ({why})")
    if spec.get("paramRef") is not None:
        yield from _reference(spec["paramRef"], child(path, "paramRef"))


def _reference(where: Obj, at: str) -> Iterator[Fault]:
    if where.get("name") and where.get("selector"):
        yield forbidden(f"{at}.name", "name and selector are mutually exclusive")
    elif not where.get("name") and where.get("selector") is None:
        yield required(at, "one of name or selector must be specified")
    action = where.get("parameterNotFoundAction")
    if not action:
        yield required(f"{at}.parameterNotFoundAction")
    elif action not in ("Allow", "Deny"):
        yield not_supported(f"{at}.parameterNotFoundAction", action, ("Deny", "Allow"))


def webhook(row: Obj, path: str) -> Iterator[Fault]:
    """Yield what is wrong with a webhook's match conditions, policies and timeout."""
    yield from conditions(row, path)
    yield from _one_of(row, path, "failurePolicy", _POLICIES)
    yield from _one_of(row, path, "matchPolicy", ("Equivalent", "Exact"))
    yield from _one_of(row, path, "reinvocationPolicy", ("IfNeeded", "Never"))
    seconds = row.get("timeoutSeconds")
    if isinstance(seconds, int) and not 1 <= seconds <= _LONGEST_SECONDS:
        yield invalid(child(path, "timeoutSeconds"), seconds, "the timeout value must be between 1 and 30 seconds")


_LONGEST_SECONDS = 30
