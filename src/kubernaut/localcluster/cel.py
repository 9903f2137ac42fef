"""Common Expression Language: compile once, evaluate on plain Python values. Used by CRD rules and ValidatingAdmissionPolicies.

Stands on cel-cpp (cel-expr-python). The environment is that of Kubernetes as far as `celfunctions` goes; a function that is not
there is a compile error with its position, never a wrong answer. The loops of an evaluation end after 10,000 steps, a bound of the
library. Values are JSON values, and besides datetime (timestamp), timedelta (duration) and bytes at any depth.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings

from kubernaut.localcluster.celfunctions import kubernetes_functions

_TYPES: Mapping[str, cel.Type] = {
    "bool": cel.Type.BOOL,
    "duration": cel.Type.DURATION,
    "dyn": cel.Type.DYN,
    "int": cel.Type.INT,
    "list": cel.Type.LIST,
    "map": cel.Type.MAP,
    "string": cel.Type.STRING,
    "timestamp": cel.Type.TIMESTAMP,
}
_POSITION = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_STATUS = re.compile(r"^(?!ERROR)[A-Z_]+: ")
_MISSING_KEY = re.compile(r"Key not found in map : \"?(.*?)\"?$")
_INDEX = re.compile(r"Index error: index=(-?\d+) size=\d+")
_RESERVED = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return var void while".split()  # noqa: SIM905
)
_ESCAPES: Mapping[str, str] = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_LIBRARIES = "name: kubernetes\nextensions:\n  - name: two-var-comprehensions\n"
_MAP_LOOPS = re.compile(r"\btransformMap(Entry)?\b")
_PROGRAMS_KEPT = 2048
_MAX_EXPRESSION = 1_048_576
# names for what the rewriting of _Lifted adds; no expression of a user can be mistaken for them, as they are not declared to it
_TIMES, _SPANS, _VALUES = "kubernaut_times", "kubernaut_spans", "kubernaut_values"


COST_EXCEEDED = "operation cancelled: actual cost limit exceeded"


class CelError(ValueError):
    """An expression that does not compile: where (1-based) and why; `text` is the compiler's whole message with the marked line."""

    def __init__(self, message: str, line: int, column: int, text: str) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.text = text


class EvaluationError(ValueError):
    """An expression that compiled but has no value for these bindings, e.g. `no such key: replicas`."""


class Optional:
    """A binding that CEL sees as an optional: `Optional(None, present=False)` is none."""

    __slots__ = ("present", "value")

    def __init__(self, value: Any, *, present: bool) -> None:
        """Keep the value."""
        self.value = value
        self.present = present


class Program:
    """A compiled expression."""

    def __init__(self, expression: str, variables: tuple[tuple[str, str], ...]) -> None:
        """Compile; raises CelError."""
        self.expression = expression
        self._variables = variables
        self._compiled = _compiled(expression, variables, lifting=False)

    @property
    def return_type(self) -> str:
        """The static type of the result: `BOOL`, `STRING`, `DYN`, ..."""
        return str(self._compiled.return_type().name())

    def ast(self) -> bytes:
        """Return the checked expression as `cel.expr.CheckedExpr` in protobuf."""
        return bytes(self._compiled.serialize())

    def evaluate(self, bindings: Mapping[str, Any]) -> Any:
        """Return the value as plain Python; raises EvaluationError where there is none."""
        types = dict(self._variables)
        lifted = {name: value for name, value in bindings.items() if types.get(name) == "dyn" and _needs_lifting(value)}
        if lifted:
            return self._evaluate_lifted(bindings, lifted)
        return _result(self._compiled, bindings)

    def _evaluate_lifted(self, bindings: Mapping[str, Any], lifted: Mapping[str, Any]) -> Any:
        """Evaluate with times inside dynamic values: these are spelled as CEL literals that take their times from typed variables."""
        scope = _Lifted()
        text = self.expression
        for name, value in lifted.items():
            text = f"cel.bind({name}, {scope.spell(value)},\n{text})"
        kept = tuple((name, kind) for name, kind in self._variables if name not in lifted)
        program = _compiled(text, kept, lifting=True)
        return _result(program, {**{name: bindings[name] for name, _ in kept if name in bindings}, **scope.bindings()})


def escape(name: str) -> str:
    """Write a member's name as an identifier, as Kubernetes does: `namespace` is `__namespace__`, `a-b` is `a__dash__b`."""
    if name in _RESERVED:
        return f"__{name}__"
    return re.sub(r"__|[./-]", lambda match: _ESCAPES[match[0]], name)


def compile(expression: str, variables: Mapping[str, str]) -> Program:  # noqa: A001 - cel.compile reads well
    """Compile an expression over variables, given as name -> type; programs are cached. Raises CelError.

    Types are `dyn`, `bool`, `int`, `string`, `list`, `map`, `timestamp`, `duration`.
    """
    return _program(expression, tuple(sorted(variables.items())))


@lru_cache(maxsize=_PROGRAMS_KEPT)
def _program(expression: str, variables: tuple[tuple[str, str], ...]) -> Program:
    return Program(expression, variables)


@lru_cache(maxsize=64)
def _environment(variables: tuple[tuple[str, str], ...], *, lifting: bool) -> cel.Env:
    """Make the environment of a set of variables; the one for lifted values has `cel.bind` and the typed variables in addition."""
    declared = {name: _TYPES[kind] for name, kind in variables}
    extensions = [ext_strings.ExtStrings(), ext_optional.ExtOptional(), kubernetes_functions()]
    if lifting:
        extensions.append(ext_bindings.ExtBindings())
        text = cel.Type.STRING
        declared |= {_TIMES: cel.Type.Map(text, cel.Type.TIMESTAMP), _SPANS: cel.Type.Map(text, cel.Type.DURATION), _VALUES: cel.Type.DYN}
    return cel.NewEnv(config=cel.NewEnvConfigFromYaml(_LIBRARIES), variables=declared, extensions=extensions)


@lru_cache(maxsize=_PROGRAMS_KEPT)
def _compiled(expression: str, variables: tuple[tuple[str, str], ...], *, lifting: bool) -> cel.Expression:
    if len(expression) > _MAX_EXPRESSION:
        raise CelError("expression too long", 1, 1, "ERROR: <input>:1:1: expression too long")
    try:
        compiled = _environment(variables, lifting=lifting).compile(expression)
    except RuntimeError as fault:
        raise _compile_error(str(fault)) from fault
    _refuse_map_loops(expression, compiled)
    return compiled


def _refuse_map_loops(expression: str, compiled: cel.Expression) -> None:
    """Refuse loops that make maps: the library compiles them but cannot evaluate them."""
    if b"cel.@mapInsert" not in compiled.serialize():
        return
    match = _MAP_LOOPS.search(expression)
    words = "transformMap and transformMapEntry are not supported by the embedded cluster"
    raise _compile_error(marked(expression, match.start() if match else 0, words))


def marked(expression: str, offset: int, words: str) -> str:
    """Write a compile error as CEL does, the place marked under its line."""
    before = expression[:offset]
    line, column = before.count("\n"), offset - (before.rfind("\n") + 1)
    return f"ERROR: <input>:{line + 1}:{column + 1}: {words}\n | {expression.split(chr(10))[line]}\n | {'.' * column}^"


def _compile_error(text: str) -> CelError:
    """Read the first position out of the compiler's message."""
    cut = _STATUS.sub("", text).removesuffix(" [INVALID_ARGUMENT]").rstrip()
    match = _POSITION.search(cut)
    if match is None:
        return CelError(cut, 1, 1, cut)
    return CelError(match[3], int(match[1]), int(match[2]), cut)


def _result(program: cel.Expression, bindings: Mapping[str, Any]) -> Any:
    """Evaluate and turn an error value into an exception."""
    try:
        value = program.eval(data=dict(bindings))
        if value.type().name() == "ERROR":
            raise EvaluationError(_runtime_words(str(value.value())))
        return value.plain_value()
    except (RuntimeError, TypeError) as fault:
        raise EvaluationError(_runtime_words(str(fault))) from fault


def _runtime_words(text: str) -> str:
    """Say a runtime error as cel-go does."""
    cut = re.sub(r" \[[A-Z_]+\]$", "", _STATUS.sub("", text))
    if match := _MISSING_KEY.search(cut):
        return f"no such key: {match[1]}"
    if match := _INDEX.search(cut):
        return f"index out of bounds: {match[1]}"
    if cut.startswith(("No matching overloads found", "Applying SELECT")):
        return "no such overload"
    return _WORDS.get(cut, cut)


_WORDS: Mapping[str, str] = {"divide by zero": "division by zero", "Iteration budget exceeded": COST_EXCEEDED}


def _needs_lifting(value: Any) -> bool:
    """Tell whether a dynamic value holds a time, a duration or an optional, which cel-cpp takes only through typed variables."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
        elif not isinstance(one, str) and isinstance(one, (datetime, timedelta, Optional)):
            return True
    return False


class _Lifted:
    """Spells values as CEL literals and collects what the literals refer to."""

    def __init__(self) -> None:
        self._times: dict[str, datetime] = {}
        self._spans: dict[str, timedelta] = {}
        self._values: dict[str, Any] = {}

    def bindings(self) -> dict[str, Any]:
        return {_TIMES: self._times, _SPANS: self._spans, _VALUES: self._values}

    def spell(self, value: Any) -> str:
        if isinstance(value, Optional):
            return f"optional.of({self.spell(value.value)})" if value.present else "optional.none()"
        if isinstance(value, datetime):
            return self._refer(_TIMES, self._times, value)
        if isinstance(value, timedelta):
            return self._refer(_SPANS, self._spans, value)
        if isinstance(value, dict) and _needs_lifting(value):
            return "dyn({" + ", ".join(f"{_quoted(key)}: {self.spell(item)}" for key, item in value.items()) + "})"
        if isinstance(value, list) and _needs_lifting(value):
            return "dyn([" + ", ".join(map(self.spell, value)) + "])"
        return self._refer(_VALUES, self._values, value)

    def _refer(self, holder: str, held: dict[str, Any], value: Any) -> str:
        name = str(len(held))
        held[name] = value
        return f'dyn({holder}["{name}"])'


def _quoted(text: str) -> str:
    """Spell a text as a CEL literal."""
    return '"' + "".join(letter if letter.isalnum() and letter.isascii() else f"\\U{ord(letter):08x}" for letter in text) + '"'
