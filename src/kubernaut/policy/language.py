"""What a policy may say: the variables its expressions read, with their types, and the fields its rules set. One a stage declares."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from cel_expr_python import cel
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Result(BaseModel):
    """Base of what rules set: every field has a default, which means that nothing was said; names are camelCase in documents."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, use_attribute_docstrings=True)


R = TypeVar("R", bound=Result)


class Type(Enum):
    """The type of a variable: how CEL calls it, and Python, whose empty value stands where nothing is known."""

    TEXT = ("string", cel.Type.STRING, str)
    WHOLE = ("int", cel.Type.INT, int)
    REAL = ("double", cel.Type.DOUBLE, float)
    BOOL = ("bool", cel.Type.BOOL, bool)
    TEXTS = ("map(string, string)", cel.Type.Map(cel.Type.STRING, cel.Type.STRING), dict)
    OBJECT = ("object", cel.Type.Map(cel.Type.STRING, cel.Type.DYN), dict)
    OBJECTS = ("list(object)", cel.Type.List(cel.Type.Map(cel.Type.STRING, cel.Type.DYN)), list)

    label: str
    cel_type: Any
    python: type

    def __init__(self, label: str, cel_type: Any, python: type) -> None:
        self.label = label
        self.cel_type = cel_type
        self.python = python


@dataclass(frozen=True, slots=True)
class Variable:
    """One thing an expression may ask for."""

    type: Type
    about: str


@dataclass(frozen=True, slots=True)
class Field:
    """One thing a rule may set, and the CEL types an expression for it may give."""

    name: str
    about: str
    gives: frozenset[str]


_GIVES: Final = {
    "string": frozenset({"STRING", "DYN"}),
    "integer": frozenset({"INT", "DYN"}),
    "number": frozenset({"DOUBLE", "INT", "DYN"}),
    "boolean": frozenset({"BOOL", "DYN"}),
    "array": frozenset({"LIST", "DYN"}),
}
"""By the JSON type of a field."""


class Language(Generic[R]):
    """The words of one kind of policy; a variable's name may have dots: `target.kind`."""

    def __init__(self, name: str, variables: Mapping[str, Variable], result: type[R]) -> None:
        self.name = name
        self.variables = dict(variables)
        self.result = result
        self.fields = {field.name: field for field in _fields(result)}
        self.environment = cel.NewEnv(variables={key: each.type.cel_type for key, each in self.variables.items()}, extensions=_extensions())

    def empty(self) -> dict[str, Any]:
        """Return the values of all variables where nothing is known."""
        return {name: variable.type.python() for name, variable in self.variables.items()}


def _extensions() -> list[Any]:
    from cel_expr_python.ext import ext_optional, ext_strings  # noqa: PLC0415  (binary modules, found only after cel itself)

    return [ext_strings.ExtStrings(), ext_optional.ExtOptional()]


def _fields(result: type[Result]) -> list[Field]:
    schema = result.model_json_schema(by_alias=True)
    return [Field(name, _about(part), _gives(part, schema.get("$defs", {}))) for name, part in schema["properties"].items()]


def _about(part: Mapping[str, Any]) -> str:
    return str(part.get("description", ""))


def _gives(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> frozenset[str]:
    """Return the CEL types that may become a field, by its JSON schema."""
    if "$ref" in part:
        return _gives(definitions[part["$ref"].rpartition("/")[2]], definitions)
    choices = [*part.get("anyOf", ()), *part.get("allOf", ())]
    if choices:
        return frozenset().union(*(_gives(choice, definitions) for choice in choices))
    return _GIVES.get(part.get("type", ""), frozenset())
