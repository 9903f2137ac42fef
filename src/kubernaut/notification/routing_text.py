"""The text of a routing: YAML in Alertmanager's form, read with the place of every word, so that faults are told by line and column."""

import hashlib
import re
from typing import Final

import yaml

from kubernaut.api.notification import ChannelName
from kubernaut.notification.decide import Target
from kubernaut.notification.routing import TARGETS, Matcher, Receiver, Route, Routing
from kubernaut.policy.document import BrokenPolicy, Place, Reader, Text, place_of

MAX_DEPTH: Final = 24
MAX_ROUTES: Final = 256
MAX_RECEIVERS: Final = 100
MAX_PATTERN: Final = 256
ROUTE_KEYS: Final = ("receiver", "match", "matchRe", "matchers", "continue", "routes")
SPELLINGS: Final = {"match_re": "matchRe"}
"""Alertmanager's own spelling of a key."""
OPERATORS: Final = ("=", "!=", "=~", "!~")
_MATCHER: Final = re.compile(
    r'\s*(?P<name>[A-Za-z_][A-Za-z0-9_.-]{0,99})\s*(?P<operator>=~|!~|!=|=)\s*(?P<value>"(?:[^"\\]|\\.)*"|[^"\s]*)\s*'
)

Entries = dict[str, tuple[Place, yaml.Node]]


def read(text: str, file: str) -> Routing:
    """Read a routing's text; raise BrokenPolicy with all that is wrong with it. `file` is only for the messages."""
    reader = Reader(text, file, depth=MAX_DEPTH, begins="`route:` and `receivers:`")
    found = _Routings(reader).read(reader.root())
    if found is None or reader.problems:
        raise BrokenPolicy(reader.problems)
    return Routing(file, hashlib.sha256(text.encode(errors="replace")).hexdigest(), *found)


class _Routings:
    """Reads one text."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._named: list[Text] = []
        self._routes = 0

    def read(self, root: yaml.Node) -> tuple[Route, dict[str, Receiver]] | None:
        """Return the tree and the receivers by name; None where one of the two is missing."""
        entries = self._entries(root, "the routing", ("route", "receivers"))
        for key in ("route", "receivers"):
            if key not in entries:
                self._reader.problem(place_of(root), f"there is no `{key}:`. A routing has a tree, `route`, and `receivers`")
        if not {"route", "receivers"} <= entries.keys():
            return None
        receivers = self._receivers(entries["receivers"][1])
        route = self._route(entries["route"][1], root=True)
        for name in self._named:
            if name.value and name.value not in receivers:
                self._reader.problem(name.place, f"there is no receiver {name.value!r}. Add it to `receivers`, or name one of those")
        return route, receivers

    def _entries(self, node: yaml.Node, what: str, keys: tuple[str, ...]) -> Entries:
        """Return a mapping's entries by our spelling of the keys; note keys that are not known."""
        found = {SPELLINGS.get(key, key): value for key, value in self._reader.mapping(node, what).items()}
        for key, (place, _) in found.items():
            if key not in keys:
                self._reader.problem(place, f"{what} has no key {key!r}. Its keys are {', '.join(keys)}")
        return found

    def _route(self, node: yaml.Node, *, root: bool = False) -> Route:
        self._routes += 1
        if self._routes > MAX_ROUTES:
            self._reader.refuse(place_of(node), f"there are more than {MAX_ROUTES} routes. Join some by `=~`")
        entries = self._entries(node, "a route", ROUTE_KEYS)
        receiver = self._receiver_of(node, entries)
        matchers = (*self._plain(entries, "match", "="), *self._plain(entries, "matchRe", "=~"), *self._matchers(entries))
        if root and matchers:
            self._reader.problem(
                place_of(node), "the top route matches every message: give it no matchers, and put them on routes below it"
            )
        routes = self._reader.sequence(entries["routes"][1], "`routes`") if "routes" in entries else []
        return Route(receiver, matchers, self._flag(entries, "continue"), tuple(map(self._route, routes)), place_of(node).line)

    def _receiver_of(self, node: yaml.Node, entries: Entries) -> str:
        if "receiver" not in entries:
            self._reader.problem(place_of(node), "the route has no receiver. Write `receiver: ` and a name of `receivers`")
            return ""
        name = self._reader.text(entries["receiver"][1], "`receiver`")
        self._named.append(name)
        return name.value

    def _plain(self, entries: Entries, key: str, operator: str) -> list[Matcher]:
        """Read `match` or `matchRe`: label and value, one a line."""
        if key not in entries:
            return []
        found = self._reader.mapping(entries[key][1], f"`{key}`")
        texts = {name: self._reader.text(node, f"`{name}`") for name, (_, node) in found.items()}
        return [self._matcher(name, operator, text.value, text.place) for name, text in texts.items()]

    def _matchers(self, entries: Entries) -> list[Matcher]:
        """Read `matchers`: texts such as `priority=~"Critical|High"`."""
        nodes = self._reader.sequence(entries["matchers"][1], "`matchers`") if "matchers" in entries else []
        texts = [self._reader.text(node, "a matcher") for node in nodes]
        return [self._written(text) for text in texts if text.value]

    def _written(self, text: Text) -> Matcher:
        found = _MATCHER.fullmatch(text.value)
        if found is None:
            example = 'Write it as `priority="Critical"`, with one of ' + ", ".join(OPERATORS)
            self._reader.problem(text.place, f"{text.value[:80]!r} is no matcher. {example}")
            return Matcher("", "=", "")
        value = found["value"]
        plain = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') and found["operator"] in {"=", "!="} else value.strip('"')
        return self._matcher(found["name"], found["operator"], plain, text.place)

    def _matcher(self, name: str, operator: str, value: str, place: Place) -> Matcher:
        if not operator.endswith("~"):
            return Matcher(name, operator, value)
        if len(value) > MAX_PATTERN:
            self._reader.problem(place, f"the expression is longer than {MAX_PATTERN} characters. Use several routes")
            return Matcher(name, operator, "")
        try:
            return Matcher(name, operator, value, re.compile(value))
        except re.error as fault:
            self._reader.problem(place, f"{value[:80]!r} is no regular expression: {fault}. Correct it here")
            return Matcher(name, operator, "")

    def _flag(self, entries: Entries, key: str) -> bool:
        if key not in entries:
            return False
        value = self._reader.value(entries[key][1])
        if not isinstance(value.value, bool):
            self._reader.problem(value.place, f"`{key}` is true or false. Write one of them")
        return value.value is True

    def _receivers(self, node: yaml.Node) -> dict[str, Receiver]:
        nodes = self._reader.sequence(node, "`receivers`")
        if not 1 <= len(nodes) <= MAX_RECEIVERS:
            self._reader.problem(place_of(node), f"there are {len(nodes)} receivers. A routing has 1 to {MAX_RECEIVERS}")
        found: dict[str, Receiver] = {}
        for each in nodes[:MAX_RECEIVERS]:
            receiver = self._receiver(each)
            if receiver.name in found:
                self._reader.problem(place_of(each), f"a receiver before this one is named {receiver.name!r}. Give it another name")
            found[receiver.name] = receiver
        return found

    def _receiver(self, node: yaml.Node) -> Receiver:
        entries = self._entries(node, "a receiver", ("name", "recipients", "asAsked"))
        if "name" not in entries:
            self._reader.problem(place_of(node), "the receiver has no name. Write `name: ` and a word that routes name it by")
        name = self._reader.text(entries["name"][1], "`name`").value if "name" in entries else ""
        nodes = self._reader.sequence(entries["recipients"][1], "`recipients`") if "recipients" in entries else []
        targets = tuple(target for each in nodes if (target := self._target(each)))
        as_asked = self._flag(entries, "asAsked")
        if not (nodes or as_asked) or len(nodes) > TARGETS:
            advice = f"Give it 1 to {TARGETS} `recipients`, or `asAsked: true`"
            self._reader.problem(place_of(node), f"the receiver has {len(nodes)} recipients. {advice}")
        return Receiver(name, targets, as_asked)

    def _target(self, node: yaml.Node) -> Target | None:
        entries = self._entries(node, "a recipient", ("channel", "address"))
        if "channel" not in entries:
            self._reader.problem(place_of(node), "the recipient has no channel. Write `channel: slack`, or another of the channels")
            return None
        channel = self._reader.text(entries["channel"][1], "`channel`")
        address = self._reader.text(entries["address"][1], "`address`").value if "address" in entries else ""
        try:
            return Target(ChannelName(channel.value), address)
        except ValueError:
            names = ", ".join(name.value for name in ChannelName)
            self._reader.problem(channel.place, f"there is no channel {channel.value[:80]!r}. The channels are {names}")
            return None
