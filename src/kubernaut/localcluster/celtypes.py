"""Static check that a CEL expression selects only members its schema knows; cel-cpp itself sees schemas as dynamic maps.

Reads the checked expression (`cel.expr.CheckedExpr` in protobuf) and follows self and oldSelf down the schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubernaut.localcluster import cel
from kubernaut.localcluster.nodes import Node
from kubernaut.localcluster.protobuf import Wire, wire_fields

_IDENT, _SELECT, _CALL, _LIST, _STRUCT, _COMPREHENSION = 4, 5, 6, 7, 8, 9
_EXPRESSION, _SOURCE, _POSITIONS = 4, 5, 4
_ROOT_METADATA = Node({"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}}, builtin=False)

Scope = Mapping[str, "Node | None"]
Parts = dict[int, list[Wire]]


def undefined_fields(program: cel.Program, scope: Scope) -> str:
    """Return the compiler's message for members that the schemas of the variables do not have; empty when all are known."""
    checked = _sub(_parts(program.ast()), 2)  # inside a google.protobuf.Any
    walk = _Walk(_positions(checked))
    walk.infer(_sub(checked, _EXPRESSION), scope)
    return "\n".join(cel.marked(program.expression, offset, f"undefined field '{name}'") for offset, name in walk.undefined)


def _parts(data: bytes) -> Parts:
    """Group a message's raw values by field number."""
    parts: Parts = {}
    for number, value in wire_fields(data):
        parts.setdefault(number, []).append(value)
    return parts


def _sub(parts: Parts, number: int) -> Parts:
    value = parts.get(number, [b""])[0]
    return _parts(value) if isinstance(value, bytes) else {}


def _subs(parts: Parts, number: int) -> list[Parts]:
    return [_parts(value) for value in parts.get(number, ()) if isinstance(value, bytes)]


def _name(parts: Parts, number: int) -> str:
    value = parts.get(number, [b""])[0]
    return value.decode() if isinstance(value, bytes) else ""


def _positions(checked: Parts) -> dict[Wire, int]:
    """Read where each expression stands in the text."""
    entries = _subs(_sub(checked, _SOURCE), _POSITIONS)
    return {entry.get(1, [0])[0]: int(entry.get(2, [0])[0]) for entry in entries}


@dataclass
class _Walk:
    """Infers the schema of every expression on the way."""

    positions: Mapping[Wire, int]
    undefined: list[tuple[int, str]] = field(default_factory=list)

    def infer(self, expression: Parts, scope: Scope) -> Node | None:
        """Return the schema of an expression's value, None where it has none or is not known."""
        if _IDENT in expression:
            return scope.get(_name(_sub(expression, _IDENT), 1))
        if _SELECT in expression:
            return self._select(expression, scope)
        if _CALL in expression:
            return self._call(_sub(expression, _CALL), scope)
        if _COMPREHENSION in expression:
            return self._comprehension(_sub(expression, _COMPREHENSION), scope)
        for nested in (*_subs(_sub(expression, _LIST), 1), *(_sub(entry, 4) for entry in _subs(_sub(expression, _STRUCT), 2))):
            self.infer(nested, scope)
        return None

    def _select(self, expression: Parts, scope: Scope) -> Node | None:
        select = _sub(expression, _SELECT)
        node = self.infer(_sub(select, 1), scope)
        name = _name(select, 2)
        if node is None or node.type != "object" or node.keeps_unknown:
            return None
        if node.additional is not None:
            return node.additional
        known = members_seen(node)
        if name not in known:
            self.undefined.append((self.positions.get(expression.get(2, [0])[0], 0), name))
        return known.get(name)

    def _call(self, call: Parts, scope: Scope) -> Node | None:
        arguments = [self.infer(argument, scope) for argument in (*_subs(call, 3), *_subs(call, 1))]
        if _name(call, 2) == "_[_]" and arguments and (node := arguments[0]):
            return node.items if node.type == "array" else node.additional
        return None

    def _comprehension(self, parts: Parts, scope: Scope) -> Node | None:
        over = self.infer(_sub(parts, 2), scope)
        item = over.items if over is not None and over.type == "array" else None
        inner = {**scope, _name(parts, 1): item, _name(parts, 3): None}
        for number in (4, 5, 6, 7):
            self.infer(_sub(parts, number), inner)
        return None


def members_seen(node: Node) -> Mapping[str, Node]:
    """Return the members that CEL sees of an object, by their escaped names; of metadata only the names."""
    found = {cel.escape(name): below for name, below in node.properties.items()}
    return {**found, "metadata": _ROOT_METADATA} if "metadata" in found and found["metadata"].definition else found
