"""Declared parameters against given ones: defaults, what is missing, and values by name."""

from collections.abc import Iterable, Mapping

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.variables import Value, Variables, value_of


def given(params: Iterable[Obj]) -> dict[str, Value]:
    """Return given parameters by name."""
    return {str(param["name"]): value_of(param.get("value")) for param in params}


def declared_type(spec: Obj) -> str:
    """Return the type of a declared parameter or result: as written, else after its default or its properties."""
    if written := spec.get("type"):
        return str(written)
    if "properties" in spec:
        return "object"
    return _type(spec.get("default"))


def missing(declared: Iterable[Obj], values: Mapping[str, Value]) -> list[str]:
    """Return the names of declared parameters that have neither value nor default."""
    return [str(spec["name"]) for spec in declared if "default" not in spec and spec["name"] not in values]


def mismatched(declared: Iterable[Obj], values: Mapping[str, Value]) -> list[str]:
    """Return the names of given parameters whose type is not the declared one."""
    return [str(spec["name"]) for spec in declared if spec["name"] in values and _type(values[spec["name"]]) != declared_type(spec)]


def missing_keys(declared: Iterable[Obj], values: Mapping[str, Value]) -> dict[str, list[str]]:
    """Return by parameter the declared object keys that neither value nor default has."""
    found = {}
    for spec in declared:
        known = {**_object(value_of(spec.get("default"))), **_object(values.get(spec["name"], ""))}
        lacking = [key for key in spec.get("properties", {}) if key not in known]
        if lacking:
            found[str(spec["name"])] = lacking
    return found


def resolved(declared: Iterable[Obj], values: Mapping[str, Value]) -> Variables:
    """Return `params.<name>` for every parameter: given values over defaults, object defaults filling in missing keys."""
    variables: dict[str, Value] = {f"params.{spec['name']}": value_of(spec["default"]) for spec in declared if "default" in spec}
    for name, value in values.items():
        default = variables.get(f"params.{name}")
        variables[f"params.{name}"] = {**default, **value} if isinstance(default, dict) and isinstance(value, dict) else value
    return variables


def _type(value: object) -> str:
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "string"


def _object(value: Value) -> dict[str, str]:
    return value if isinstance(value, dict) else {}
