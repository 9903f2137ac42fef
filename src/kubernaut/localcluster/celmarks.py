"""What the tables of CEL functions share: their rows, the types in them, and marked values (see `celfunctions`)."""

from collections.abc import Callable, Sequence
from typing import Any

from cel_expr_python import cel

BOOL, DOUBLE, DYN, INT, LIST, MAP, STRING = (
    cel.Type.BOOL, cel.Type.DOUBLE, cel.Type.DYN, cel.Type.INT, cel.Type.LIST, cel.Type.MAP, cel.Type.STRING,
)  # fmt: skip

Row = tuple[str, bool, Sequence[cel.Type], cel.Type, Callable[..., Any]]
"""Name, whether it is a member function (the receiver comes first), parameters, result, implementation."""


def marked(mark: str, value: dict[str, Any]) -> str:
    """Take the canonical text out of a marked value; raise ValueError for another kind of value."""
    if not isinstance(value, dict) or mark not in value:
        raise ValueError("no such overload")
    return str(value[mark])


def succeeds(make: Callable[..., Any]) -> Callable[..., bool]:
    """Make the question whether a value can be made of arguments."""

    def check(*arguments: Any) -> bool:
        try:
            make(*arguments)
        except ValueError:
            return False
        return True

    return check
