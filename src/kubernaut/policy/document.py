"""A policy's text: YAML read with the place of every word, so that whoever wrote it is told line and column of what is wrong."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import yaml

from kubernaut.api.base import Unusable

MAX_BYTES: Final = 65_536
MAX_RULES: Final = 128
MAX_EXPRESSION: Final = 2048
MAX_DEPTH: Final = 8
MAX_PROBLEMS: Final = 20
"""How many are told at once."""
RULE_KEYS: Final = ("name", "match", "set", "compute")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Half a character, which an escape in quotes can make."""
_NESTING: Final = {
    yaml.events.MappingStartEvent: 1,
    yaml.events.SequenceStartEvent: 1,
    yaml.events.MappingEndEvent: -1,
    yaml.events.SequenceEndEvent: -1,
}


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands in a text; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where, and what to do about it."""

    file: str
    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.place.line}:{self.place.column}: {self.message}"


class BrokenPolicy(Unusable):
    """A policy cannot be used; `problems` says why, in the order of the text."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.place)[:MAX_PROBLEMS])
        more = len(problems) - len(self.problems)
        super().__init__("\n".join([*map(str, self.problems), *([f"and {more} more"] if more else [])]))


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the document that has a place: an expression, or a name."""

    value: str
    place: Place
    """Its first character; that of its whole where a place inside cannot be told."""
    lines: tuple[int, ...] = ()
    """The column of the first character of each of its lines, where the document has them as they are."""
    first: int = 0
    """The document's line of the first of them."""

    def at(self, line: int, column: int) -> Place | None:
        """Return where a place in the text is in the document; None where that cannot be told."""
        if 1 <= line <= len(self.lines):
            return Place(self.first + line - 1, self.lines[line - 1] + column - 1)
        return None


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that stands in the document."""

    value: Any
    place: Place


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule as it was written."""

    name: str
    place: Place
    match: Text
    keys: dict[str, Place]
    """Where the names of what it sets stand."""
    constants: dict[str, Constant]
    computed: dict[str, Text]


class Reader:
    """Reads a YAML text node by node, and gathers what is wrong with it."""

    def __init__(self, text: str, file: str, *, depth: int = MAX_DEPTH, begins: str = "`rules:` with at least one rule") -> None:
        """Take a text, how deep it may be nested, and what an empty one lacks; `file` is for messages."""
        self.file = file
        self._depth = depth
        self._begins = begins
        self.problems: list[Problem] = []
        self._lines = text.splitlines()
        self._text = text

    def root(self) -> yaml.Node:
        """Return the whole as a node; raise BrokenPolicy for what is no YAML, too large, too deep, or has anchors."""
        if len(self._text.encode(errors="replace")) > MAX_BYTES:
            self.refuse(Place(1, 1), f"the text is larger than {MAX_BYTES} bytes. Split the policy, or shorten it")
        try:
            self._measure()
            node = yaml.compose(self._text, Loader=yaml.SafeLoader)
        except BrokenPolicy:
            raise
        except yaml.MarkedYAMLError as fault:
            mark = fault.problem_mark or fault.context_mark
            self.refuse(_place(mark), f"this is no YAML: {fault.problem or fault.context}. Correct the text here")
        except (yaml.YAMLError, ValueError) as fault:
            self.refuse(Place(1, 1), f"this is no YAML: {' '.join(str(fault).split())[:200]}. Correct the text")
        if node is None:
            self.refuse(Place(1, 1), f"the text is empty. Write {self._begins}, or delete it to have the shipped policy")
        return node

    def problem(self, place: Place, message: str) -> None:
        """Note what is wrong at a place."""
        self.problems.append(Problem(self.file, place, message))

    def refuse(self, place: Place, message: str) -> NoReturn:
        """Raise BrokenPolicy at once, with what was noted before."""
        self.problem(place, message)
        raise BrokenPolicy(self.problems)

    def mapping(self, node: yaml.Node, what: str) -> dict[str, tuple[Place, yaml.Node]]:
        """Return the entries of a mapping, each with the place of its key; note what is none, and keys that are there twice."""
        if not isinstance(node, yaml.MappingNode):
            self.problem(place_of(node), f"{what} must be a mapping. Write `key: value` lines")
            return {}
        found: dict[str, tuple[Place, yaml.Node]] = {}
        for key, value in node.value:
            if str(key.value) in found:
                self.problem(place_of(key), f"{key.value} is there twice. Keep one")
            found[str(key.value)] = (place_of(key), value)
        return found

    def sequence(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """Return the items of a list; note what is none."""
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self.problem(place_of(node), f"{what} must be a list. Start each item with `- `")
        return []

    def text(self, node: yaml.Node, what: str) -> Text:
        """Return a scalar's text, whatever YAML would make of it; note what is no scalar, empty or too long."""
        place = place_of(node)
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip() or _SURROGATE.search(node.value):
            self.problem(place, f"{what} must be a text. Write it on this line, in quotes where it has `: ` or ` #`")
            return Text("", place)
        if len(node.value) > MAX_EXPRESSION:
            self.problem(place, f"{what} is longer than {MAX_EXPRESSION} characters. Split it over several rules")
            return Text("", place)
        return self._placed(node)

    def value(self, node: yaml.Node) -> Constant:
        """Return a value as YAML reads it."""
        loader = yaml.SafeLoader("")
        try:
            return Constant(loader.construct_document(node), place_of(node))
        except (yaml.YAMLError, ValueError) as fault:
            self.problem(place_of(node), f"this value cannot be read: {' '.join(str(fault).split())[:200]}. Put it in quotes")
            return Constant(None, place_of(node))
        finally:
            loader.dispose()

    def _measure(self) -> None:
        """Refuse what is nested too deep, or refers to itself, before it is built."""
        depth = 0
        for event in yaml.parse(self._text, Loader=yaml.SafeLoader):
            depth += _NESTING.get(type(event), 0)
            if depth > self._depth:
                self.refuse(_place(event.start_mark), f"this is nested too deep. Write it flatter: at most {self._depth} levels")
            if isinstance(event, yaml.events.AliasEvent):
                self.refuse(_place(event.start_mark), f"*{event.anchor} is an alias, which a policy cannot have. Write the value out")

    def _placed(self, node: yaml.ScalarNode) -> Text:
        """Find where the lines of a scalar stand, when they stand there as they are."""
        value, place = str(node.value), place_of(node)
        start = place.column + (1 if node.style in ("'", '"') else 0)
        if self._line(place.line)[start - 1 :].startswith(value):
            return Text(value, Place(place.line, start), (start,), place.line)
        if node.style != "|":
            return Text(value, place)
        lines = value.rstrip("\n").split("\n")
        found = [self._line(place.line + 1 + number).find(line) + 1 for number, line in enumerate(lines)]
        return Text(value, place, tuple(found), place.line + 1) if all(found) else Text(value, place)

    def _line(self, number: int) -> str:
        return self._lines[number - 1] if number <= len(self._lines) else ""


def place_of(node: yaml.Node) -> Place:
    """Return where a node begins."""
    return _place(node.start_mark)


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)


def read(text: str, file: str) -> list[RuleText]:
    """Read a policy's text; raise BrokenPolicy with all that is wrong with it. `file` is only for the messages."""
    reader = Reader(text, file)
    rules = list(_rules(reader, reader.root()))
    if reader.problems:
        raise BrokenPolicy(reader.problems)
    return rules


def _rules(reader: Reader, root: yaml.Node) -> Iterator[RuleText]:
    entries = reader.mapping(root, "the policy")
    for key, (place, _) in entries.items():
        if key != "rules":
            reader.problem(place, f"there is no key {key!r}. A policy has one key, `rules`")
    if "rules" not in entries:
        reader.problem(place_of(root), "there are no rules. Write `rules:` with at least one rule below")
        return
    place, node = entries["rules"]
    nodes = reader.sequence(node, "`rules`")
    if isinstance(node, yaml.SequenceNode) and not 1 <= len(nodes) <= MAX_RULES:
        reader.problem(place, f"there are {len(nodes)} rules. A policy has 1 to {MAX_RULES}")
    names: set[str] = set()
    for each in nodes[:MAX_RULES]:
        yield _rule(reader, each, names)


def _rule(reader: Reader, node: yaml.Node, names: set[str]) -> RuleText:
    entries = reader.mapping(node, "a rule")
    for key, (place, _) in entries.items():
        if key not in RULE_KEYS:
            reader.problem(place, f"a rule has no key {key!r}. Its keys are {', '.join(RULE_KEYS)}")
    name = _name(reader, node, entries, names)
    match = reader.text(entries["match"][1], "`match`") if "match" in entries else Text("true", place_of(node))
    before = len(reader.problems)
    fixed, expressions = _entries(reader, entries, "set"), _entries(reader, entries, "compute")
    constants = {key: reader.value(value) for key, (_, value) in fixed.items()}
    computed = {key: reader.text(value, f"`{key}`") for key, (_, value) in expressions.items()}
    for key in sorted(constants.keys() & computed.keys()):
        reader.problem(computed[key].place, f"{key} is set and computed. Keep one of them")
    if not constants and not computed and len(reader.problems) == before:
        reader.problem(place_of(node), "the rule decides nothing. Give it `set:` with values, or `compute:` with expressions")
    keys = {key: place for key, (place, _) in (*fixed.items(), *expressions.items())}
    return RuleText(name, place_of(node), match, keys, constants, computed)


def _entries(reader: Reader, entries: dict[str, tuple[Place, yaml.Node]], key: str) -> dict[str, tuple[Place, yaml.Node]]:
    return reader.mapping(entries[key][1], f"`{key}`") if key in entries else {}


def _name(reader: Reader, node: yaml.Node, entries: dict[str, tuple[Place, yaml.Node]], names: set[str]) -> str:
    if "name" not in entries:
        reader.problem(place_of(node), "the rule has no name. Write `name: ` and a word people will read in the status")
        return ""
    text = reader.text(entries["name"][1], "`name`")
    if text.value and not _NAME.fullmatch(text.value):
        reader.problem(text.place, f"{text.value[:80]!r} is no name. Use up to 63 lower-case letters, digits and dashes")
    if text.value in names:
        reader.problem(text.place, f"a rule before this one is named {text.value!r}. Give it another name")
    names.add(text.value)
    return text.value
