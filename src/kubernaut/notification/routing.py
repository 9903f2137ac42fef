"""Who is told what: a tree of routes and the receivers they name, after Alertmanager's. Pure: a text in, the places of a message out."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from pydantic import JsonValue

from kubernaut.api.notification import NotificationRequest
from kubernaut.notification.decide import Target

NAME: Final = "routing"
LABELS_OF_DETAILS: Final = ("severity", "alertName", "namespace", "signalType", "escalationReason", "escalationPhase", "environment")
"""What an escalation tells besides its metadata."""
TARGETS: Final = 20


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label; a label that is not there is empty."""

    name: str
    operator: str
    value: str
    pattern: re.Pattern[str] | None = None

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it holds."""
        found = labels.get(self.name, "")
        same = bool(self.pattern.fullmatch(found)) if self.pattern else found == self.value
        return same != self.operator.startswith("!")

    def __str__(self) -> str:
        return f'{self.name}{self.operator}"{self.value}"'


@dataclass(frozen=True, slots=True)
class Route:
    """A node of the tree."""

    receiver: str
    matchers: tuple[Matcher, ...]
    goes_on: bool
    """Whether the routes after it are asked too."""
    routes: tuple["Route", ...]
    line: int

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a message with these labels belongs here."""
        return all(matcher.holds(labels) for matcher in self.matchers)

    def leaves(self, labels: Mapping[str, str]) -> list["Route"]:
        """Return the deepest routes that hold, in order, as Alertmanager finds them; none of those below: itself."""
        found: list[Route] = []
        for route in self.routes:
            if not route.holds(labels):
                continue
            found += route.leaves(labels)
            if not route.goes_on:
                break
        return found or [self]

    def everything(self) -> Iterator["Route"]:
        """Yield the node and all below it."""
        yield self
        for route in self.routes:
            yield from route.everything()


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told, and where."""

    name: str
    targets: tuple[Target, ...]
    as_asked: bool
    """Whether a message also goes where it asks to go."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a message goes, and by whose word."""

    receivers: tuple[str, ...]
    targets: tuple[Target, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Routing:
    """A tree of routes with its receivers."""

    file: str
    hash: str
    route: Route
    receivers: Mapping[str, Receiver]

    @property
    def rules(self) -> tuple[Route, ...]:
        """Return all routes."""
        return tuple(self.route.everything())

    def resolve(self, labels: Mapping[str, str], asked: tuple[Target, ...] = ()) -> Resolved:
        """Return where a message with these labels goes that asks for some places itself."""
        routes = tuple(self.route.leaves(labels))
        receivers = tuple(dict.fromkeys(route.receiver for route in routes))
        found: dict[Target, None] = {}
        for name in receivers:
            receiver = self.receivers[name]
            found |= dict.fromkeys(receiver.targets) | dict.fromkeys(asked if receiver.as_asked else ())
        return Resolved(receivers, tuple(found)[:TARGETS], routes)


def shipped() -> str:
    """Return the text of the routing that comes with the program."""
    return files(__package__).joinpath("routing.yaml").read_text(encoding="utf-8")


def labels_of(request: NotificationRequest) -> dict[str, str]:
    """Return what routes may match of a message: its type and priority, its metadata, and the main details of an escalation."""
    spec = request.spec
    labels: dict[str, str] = {str(name): _text(spec.details[name]) for name in LABELS_OF_DETAILS if name in spec.details}
    labels |= {"casePriority": spec.metadata["priority"]} if "priority" in spec.metadata else {}
    labels |= dict(spec.metadata)
    return {name: value for name, value in labels.items() if value} | {"type": spec.type.value, "priority": spec.priority.value}


def asked_of(request: NotificationRequest) -> tuple[Target, ...]:
    """Return the places a message asks for: each of its channels, at its addresses there or the channel's own place."""
    found: list[Target] = []
    for channel in request.spec.channels:
        addresses = [recipient.address for recipient in request.spec.recipients if recipient.channel is channel]
        found += [Target(channel, address) for address in addresses or [""]]
    return tuple(dict.fromkeys(found))


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""
