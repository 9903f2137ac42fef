"""A small language for the tests of policies."""

from typing import Annotated, Literal

from pydantic import Field

from kubernaut.policy.compiled import Policy
from kubernaut.policy.language import Language, Result, Type, Variable


class Meal(Result):
    """What to eat."""

    dish: str | None = None
    """The dish."""
    size: Literal["small", "large"] | None = None
    """How much of it."""
    plates: Annotated[int, Field(ge=1, le=9)] | None = None
    """For how many."""
    price: float | None = None
    """What it costs."""
    spicy: bool | None = None
    """Whether it is hot."""
    side_dishes: tuple[str, ...] = ()
    """What comes with it."""


MEALS = Language(
    "meal",
    {
        "guest.name": Variable(Type.TEXT, "who eats"),
        "guest.age": Variable(Type.WHOLE, "how old"),
        "hungry": Variable(Type.BOOL, "whether it is urgent"),
        "budget": Variable(Type.REAL, "how much money"),
        "wishes": Variable(Type.TEXTS, "what was asked for"),
    },
    Meal,
)


def policy(text):
    return Policy(MEALS, text, "menu.yaml")
