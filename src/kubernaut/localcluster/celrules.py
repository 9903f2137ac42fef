"""`x-kubernetes-validations`: the CEL rules of a custom resource's schema, evaluated where they stand, with self and oldSelf."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kubernaut.localcluster import cel, celtypes
from kubernaut.localcluster.checking import same
from kubernaut.localcluster.faults import Fault, child, duplicate, forbidden, invalid, required, shown
from kubernaut.localcluster.nodes import Node

Obj = dict[str, Any]

_USES_OLD = re.compile(r"\boldSelf\b")
_LITERAL = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS: Mapping[str, float] = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_MESSAGE_MAX = 5 * 1024
_ROOT_META = ("name", "generateName")


@dataclass(frozen=True, slots=True)
class _At:
    """A value with rules of its own or below, and its former self."""

    value: Any
    node: Node
    path: str
    old: Any
    frozen: bool
    """Whether a part around this value, or itself, is as it was: its faults are then forgiven."""

    def down(self, value: Any, node: Node, path: str, old: Any) -> "_At":
        return _At(value, node, path, old, self.frozen or (old is not None and same(old, value)))


def faults(obj: Obj, node: Node, old: Obj | None = None) -> list[Fault]:
    """Return the faults of all rules of an object; rules that name oldSelf need a former value, unless they take it as an optional."""
    return list(_walk(_At(obj, node, "", old, old is not None and same(old, obj)), root=True))


def definition_faults(node: Node) -> list[Fault]:
    """Return a fault for each rule of a schema (its root with metadata) that does not compile; paths from `openAPIV3Schema` down."""
    return list(_definition(node, ""))


def _walk(at: _At, *, root: bool = False) -> Iterator[Fault]:
    if at.value is None or not at.node.has_rules:
        return
    for rule in at.node.rules:
        yield from _rule(rule, at, root=root)
    for nested in at.node.raw.get("allOf") or ():
        yield from _walk(_At(at.value, Node(nested, builtin=False), at.path, at.old, at.frozen))
    if isinstance(at.value, dict):
        yield from _members(at)
    elif isinstance(at.value, list):
        yield from _items(at)


def _members(at: _At) -> Iterator[Fault]:
    olds = at.old if isinstance(at.old, dict) and not at.node.atomic else {}
    for name, value in at.value.items():
        below = at.node.properties.get(name)
        if below is not None:
            yield from _walk(at.down(value, below, child(at.path, name), olds.get(name)), root=below.embedded)
        elif at.node.additional is not None:
            yield from _walk(at.down(value, at.node.additional, f"{at.path}[{name}]", olds.get(name)))


def _items(at: _At) -> Iterator[Fault]:
    keys = at.node.list_keys if at.node.list_type == "map" else ()
    olds = {shown([item.get(key) for key in keys]): item for item in at.old or () if keys and isinstance(item, dict)}
    for index, value in enumerate(at.value):
        old = olds.get(shown([value.get(key) for key in keys])) if keys and isinstance(value, dict) else None
        yield from _walk(at.down(value, at.node.items, f"{at.path}[{index}]", old), root=at.node.items.embedded)


def _rule(rule: Obj, at: _At, *, root: bool) -> Iterator[Fault]:
    """Evaluate one rule and say what is wrong."""
    text, optional = rule["rule"], bool(rule.get("optionalOldSelf"))
    transition = uses_old_self(text)
    if transition and at.old is None and not optional:
        return
    bindings = _bindings(at, root=root, optional=optional, transition=transition)
    try:
        holds = cel.compile(text, dict.fromkeys(bindings, "dyn")).evaluate(bindings)
    except cel.CelError as fault:
        yield invalid(at.path, at.node.type, f"rule compile error: {fault.text}")
    except cel.EvaluationError as fault:
        yield _broken(rule, at, str(fault))
    else:
        if holds is not True and (transition or not at.frozen):
            yield _fault(rule, at, bindings)


def uses_old_self(text: str) -> bool:
    """Tell whether an expression names oldSelf outside of texts."""
    return _USES_OLD.search(_LITERAL.sub("", text)) is not None


def _bindings(at: _At, *, root: bool, optional: bool, transition: bool) -> dict[str, Any]:
    """Give self, and oldSelf where the rule names it."""
    bindings = {"self": to_cel(at.value, at.node, root=root)}
    if transition:
        old = None if at.old is None else to_cel(at.old, at.node, root=root)
        bindings["oldSelf"] = cel.Optional(old, present=at.old is not None) if optional else old
    return bindings


def _broken(rule: Obj, at: _At, why: str) -> Fault:
    """Say that a rule has no value."""
    named = (rule.get("message") or rule["rule"]).strip()
    if why == "no such overload":
        why = f"'{why}': call arguments did not match a supported operator, function or macro signature for rule: {named}"
        return invalid(at.path, at.node.type, why)
    if why == cel.COST_EXCEEDED:
        told = f"'{why}': no further validation rules will be run due to call cost exceeds limit for rule: {named}"
        return invalid(at.path, at.node.type, told)
    return invalid(at.path, at.node.type, f"{why} evaluating rule: {named}")


def _fault(rule: Obj, at: _At, bindings: Mapping[str, Any]) -> Fault:
    """Say that a rule does not hold: scalars are shown, objects and lists are not."""
    detail = _message(rule, bindings)
    field = at.path + _relative(rule.get("fieldPath") or "")
    field = field if at.path else field.removeprefix(".")
    reasons: Mapping[str, Callable[[], Fault]] = {
        "FieldValueForbidden": lambda: forbidden(field, detail),
        "FieldValueRequired": lambda: required(field, detail),
        "FieldValueDuplicate": lambda: duplicate(field, at.value),
    }
    if rule.get("reason") in reasons:
        return reasons[rule["reason"]]()
    if isinstance(at.value, (dict, list)):
        return Fault(field or "<nil>", "FieldValueInvalid", f"Invalid value: {detail}")
    return invalid(field, at.value, detail)


def _message(rule: Obj, bindings: Mapping[str, Any]) -> str:
    """Give messageExpression's value if it is a fit text, else the message, else the rule."""
    told = _evaluated_message(rule["messageExpression"], bindings) if rule.get("messageExpression") else ""
    return told or (rule.get("message") or "").strip() or f"failed rule: {rule['rule'].strip()}"


def _evaluated_message(expression: str, bindings: Mapping[str, Any]) -> str:
    try:
        value = cel.compile(expression, dict.fromkeys(bindings, "dyn")).evaluate(bindings)
    except (cel.CelError, cel.EvaluationError):
        return ""
    text = value.strip() if isinstance(value, str) else ""
    return "" if len(text.encode()) > _MESSAGE_MAX or "\n" in text else text


def _relative(path: str) -> str:
    """Write a rule's fieldPath as a field path."""
    return re.sub(r"\['((?:\\.|[^'\\])*)'\]", lambda match: f".{match[1]}", path)


def to_cel(value: Any, node: Node, *, root: bool = False) -> Any:
    """Turn a JSON value into what CEL sees of it: typed by the schema, member names escaped, of metadata only the names."""
    if isinstance(value, dict):
        return _object_to_cel(value, node, root=root)
    if isinstance(value, list):
        return [to_cel(item, node.items) for item in value]
    if node.type == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return _TYPED[node.format](value) if node.format in _TYPED and isinstance(value, str) else value


def _object_to_cel(value: Obj, node: Node, *, root: bool) -> Obj:
    result: Obj = {}
    for name, item in value.items():
        below = node.properties.get(name)
        if root and name == "metadata":
            result[name] = {key: item[key] for key in _ROOT_META if key in item}
        elif below is not None:
            result[cel.escape(name)] = to_cel(item, below, root=below.embedded)
        elif node.additional is not None:
            result[name] = to_cel(item, node.additional)
        else:
            result[name] = item
    return result


def _timestamp(text: str) -> Any:
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return text
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _duration(text: str) -> Any:
    parts = _DURATION.findall(text)
    if not parts:
        return text
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)


def _bytes(text: str) -> Any:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text


_TYPED: Mapping[str, Callable[[str], Any]] = {
    "byte": _bytes,
    "date": _timestamp,
    "date-time": _timestamp,
    "duration": _duration,
}


def _definition(node: Node, path: str) -> Iterator[Fault]:
    """Compile the rules of a schema and of all below it."""
    if not node.has_rules:
        return
    for index, rule in enumerate(node.rules):
        yield from _compile_faults(rule, node, f"{child(path, 'x-kubernetes-validations')}[{index}]")
    for name, below in node.properties.items():
        yield from _definition(below, f"{child(path, 'properties')}[{name}]")
    if node.additional is not None:
        yield from _definition(node.additional, child(path, "additionalProperties"))
    if isinstance(node.raw.get("items"), dict):
        yield from _definition(node.items, child(path, "items"))


def _compile_faults(rule: Obj, node: Node, path: str) -> Iterator[Fault]:
    """Compile a rule and its messageExpression."""
    if not (rule.get("rule") or "").strip():
        yield required(child(path, "rule"), "rule is not specified")
    for keyword, wanted, words in _EXPRESSIONS:
        text = rule.get(keyword) or ""
        if text.strip() and (why := _compile_fault(text, node, wanted, words)):
            yield Fault(child(path, keyword), "FieldValueInvalid", f"Invalid value: {_rule_shown(rule)}: {why}")


def _compile_fault(text: str, node: Node, wanted: str, words: str) -> str:
    """Say why an expression does not compile or has another type than wanted; empty when all is well."""
    try:
        program = cel.compile(text, {"self": "dyn", "oldSelf": "dyn"})
    except cel.CelError as fault:
        return f"compilation failed: {fault.text}"
    if undefined := celtypes.undefined_fields(program, {"self": node, "oldSelf": node}):
        return f"compilation failed: {undefined}"
    return "" if program.return_type in {wanted, "DYN"} else words


_EXPRESSIONS = (
    ("rule", "BOOL", "cel expression must evaluate to a bool"),
    ("messageExpression", "STRING", "messageExpression must evaluate to a string"),
)


def _rule_shown(rule: Obj) -> str:
    """Write a rule as Go prints its struct."""
    members = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
    nothing = {"reason": None, "optionalOldSelf": None}
    told = {name[0].upper() + name[1:]: rule.get(name, nothing.get(name, "")) for name in members}
    return "{" + ",".join(f'"{name}":{shown(value)}' for name, value in told.items()) + "}"
