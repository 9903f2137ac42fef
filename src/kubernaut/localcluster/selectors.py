"""Label and field selectors: text or object form to a predicate; used by list, watch, deletecollection and the stand-ins.

Grammar and words are those of apimachinery's `labels.Parse` and `fields.ParseSelector`.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Obj = dict[str, Any]
LabelPredicate = Callable[[Mapping[str, str]], bool]
FieldPredicate = Callable[[Obj], bool]

_TOKEN = re.compile(r"\s*(?:(==|!=|=|!|<|>|\(|\)|,)|([^\s=!<>(),]+))")
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MAX_NAME, _MAX_PREFIX = 63, 253
_INEQUALITIES = ("<", ">")
_MARKS = {"=", "==", "!=", "<", ">", "(", ")", ","}
_COMPARISONS = {"=": "in", "==": "in", "!=": "notin", "<": "<", ">": ">"}
_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": ">", "Lt": "<"}


class SelectorError(ValueError):
    """The selector cannot be parsed, or names a field that cannot be selected on."""


@dataclass(frozen=True)
class Requirement:
    """One condition on one label: operator is in, notin, exists, !, < or >."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the labels meet this condition; `notin` also holds where the label is absent."""
        value = labels.get(self.key)
        if self.operator in {"exists", "!"}:
            return (value is not None) == (self.operator == "exists")
        if self.operator in _INEQUALITIES:
            return value is not None and self._compares(value)
        return (value in self.values) if self.operator == "in" else (value not in self.values)

    def _compares(self, value: str) -> bool:
        """Compare as integers; a value that is no integer does not match."""
        if not re.fullmatch(r"[+-]?\d+", value):
            return False
        bound = int(self.values[0])
        return int(value) < bound if self.operator == "<" else int(value) > bound


def label_selector(text: str) -> LabelPredicate:
    """Parse a `labelSelector` parameter such as `a=b,c in (d,e),!f`; empty selects everything."""
    return _all_of(parse_labels(text))


def label_selector_of(obj: Obj | None) -> LabelPredicate:
    """Turn a LabelSelector object (matchLabels, matchExpressions) into a predicate; None selects nothing, empty everything."""
    if obj is None:
        return lambda _labels: False
    requirements = [Requirement(key, "in", (value,)) for key, value in (obj.get("matchLabels") or {}).items()]
    requirements += [_expression(item) for item in obj.get("matchExpressions") or ()]
    return _all_of(requirements)


def field_selector(text: str, allowed: Collection[str]) -> FieldPredicate:
    """Parse a `fieldSelector` parameter; paths are dotted, an absent field counts as the empty string.

    Raises SelectorError for a field outside `allowed`, with the words of the API server.
    """
    terms = [_field_term(part) for part in _split_escaped(text, ",") if part]
    for path, _equal, _value in terms:
        if path not in allowed:
            raise SelectorError(f"field label not supported: {path}")
    return lambda obj: all((field_value(obj, path) == value) is equal for path, equal, value in terms)


def field_equalities(text: str) -> dict[str, str]:
    """Give the fields a selector pins to one value: what a `metadata.name=x` list needs to become a single read."""
    terms = (_field_term(part) for part in _split_escaped(text, ",") if part)
    return {path: value for path, equal, value in terms if equal}


def field_value(obj: Obj, path: str) -> str:
    """Read a dotted path as the text a field selector compares with."""
    node: Any = obj
    for part in path.removeprefix(".").split("."):
        if not isinstance(node, dict):
            return ""
        node = node.get(part)
    if isinstance(node, bool):
        return "true" if node else "false"
    return "" if node is None else str(node)


def parse_labels(text: str) -> list[Requirement]:
    """Parse the text form to its requirements."""
    return _Parser(_tokens(text)).requirements()


def _all_of(requirements: Sequence[Requirement]) -> LabelPredicate:
    """Combine requirements with and."""
    return lambda labels: all(requirement.holds(labels) for requirement in requirements)


def _expression(item: Obj) -> Requirement:
    """Turn one matchExpressions entry into a requirement."""
    operator = _OPERATORS.get(item.get("operator", ""))
    if operator is None:
        raise SelectorError(f'"{item.get("operator", "")}" is not a valid label selector operator')
    return Requirement(item["key"], operator, tuple(item.get("values") or ()))


def _tokens(text: str) -> list[str]:
    """Cut the text into operators and words."""
    found: list[str] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise SelectorError(f"unable to parse requirement: found {text[position:].strip()!r}")
        found.append(match.group(1) or match.group(2))
        position = match.end()
    return found


class _Parser:
    """Recursive descent over the tokens of a label selector."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        if self._peek() in _MARKS:
            raise SelectorError(f"found '{self._peek()}', expected: !, identifier, or 'end of string'")
        while self._at < len(self._tokens):
            found.append(self._requirement())
            if self._at < len(self._tokens):
                self._comma()
        return found

    def _comma(self) -> None:
        found = self._take()
        if found != ",":
            raise SelectorError(f"found '{found}', expected: ',' or 'end of string'")
        if not self._peek() or self._peek() in _MARKS:
            raise SelectorError(f"found '{self._peek()}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take()
            return Requirement(self._key(), "!")
        key = self._key()
        if self._peek() in {"", ","}:
            return Requirement(key, "exists")
        return self._comparison(key, self._take())

    def _comparison(self, key: str, operator: str) -> Requirement:
        if operator in {"in", "notin"}:
            return Requirement(key, operator, self._values())
        if operator not in _COMPARISONS:
            raise SelectorError(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
        value = self._take() if self._peek() not in {"", ","} else ""
        _check_value(key, value, number=operator in _INEQUALITIES)
        return Requirement(key, _COMPARISONS[operator], (value,))

    def _values(self) -> tuple[str, ...]:
        if self._take() != "(":
            raise SelectorError(f"unable to parse requirement: found '{self._tokens[self._at - 1]}' expected: '('")
        inside: list[str] = [""]
        while (word := self._take()) != ")":
            if not word:
                raise SelectorError("unable to parse requirement: found '', expected: ',' or ')'")
            inside = [*inside, ""] if word == "," else [*inside[:-1], word]
        return tuple(sorted(set(inside)))

    def _key(self) -> str:
        key = self._take()
        prefix, slash, name = key.rpartition("/")
        named = len(name) <= _MAX_NAME and _NAME.fullmatch(name)
        prefixed = not slash or (len(prefix) <= _MAX_PREFIX and _PREFIX.fullmatch(prefix))
        if not named or not prefixed:
            raise SelectorError(f"unable to parse requirement: found '{key}', expected: !, identifier, or ','")
        return key

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token


def _check_value(key: str, value: str, *, number: bool) -> None:
    """Refuse a value that no label can have."""
    if number and not re.fullmatch(r"[+-]?\d+", value):
        raise SelectorError(
            f"{_REQUIREMENT}values[0][{key}]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
        )
    if value and (len(value) > _MAX_NAME or not _NAME.fullmatch(value)) and not number:
        raise SelectorError(f'{_REQUIREMENT}values[0][{key}]: Invalid value: "{value}": {LABEL_VALUE_WORDS}')


_REQUIREMENT = "unable to parse requirement: "
LABEL_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an"
    " alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def _field_term(part: str) -> tuple[str, bool, str]:
    """Split `path=value`, `path==value` or `path!=value` at the first operator."""
    match = re.match(r"((?:[^\\=!]|\\.)*)(!=|==|=)(.*)$", part.strip(), re.DOTALL)
    if match is None:
        raise SelectorError(f"invalid selector: '{part}'; can't understand '{part}'")
    path, operator, value = match.groups()
    return path, operator != "!=", re.sub(r"\\([\\,=])", r"\1", value)


def _split_escaped(text: str, separator: str) -> list[str]:
    """Split at a separator that is not escaped with a backslash."""
    return re.split(rf"(?<!\\){re.escape(separator)}", text)
