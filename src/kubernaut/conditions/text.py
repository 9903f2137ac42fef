"""The text of users' conditions: YAML read with the place of every word, expressions compiled and samples tried before any of it holds."""

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import yaml

from kubernaut.api.durations import parse_duration
from kubernaut.api.plan import canonical_name
from kubernaut.conditions.judging import LANGUAGE, Condition, Conditions, Guard, judge
from kubernaut.policy.compiled import Expressions
from kubernaut.policy.document import BrokenPolicy, Place, Reader, Text, place_of
from kubernaut.policy.samples import Sample, sample_of

SHIPPED: Final = "{}"
"""kubernaut brings no conditions of its own."""
MAX_DEPTH: Final = 32
MAX_LIST: Final = 8
"""Conditions of one list."""
MAX_DESCRIPTION: Final = 200
MAX_SAMPLES: Final = 20
"""Of one condition."""
LONGEST: Final = {"pre": timedelta(minutes=10), "post": timedelta(hours=1)}
DEFAULTS: Final = {"pre": timedelta(seconds=30), "post": timedelta(minutes=2)}
KEYS: Final = ("type", "description", "when", "required", "timeout", "samples")
NEVER: Final = datetime.min.replace(tzinfo=UTC)
"""Samples have no time."""
_TYPE: Final = re.compile(r"[A-Za-z]([-_A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_WORKFLOW: Final = re.compile(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")

Entries = dict[str, tuple[Place, yaml.Node]]


def reading(actions: Sequence[str] | None = None) -> Callable[[str, str], Conditions]:
    """Return what reads a text (and its file's name, for messages) where these are the actions (None: any); it raises BrokenPolicy."""
    return partial(_read, actions)


def _read(actions: Sequence[str] | None, text: str, file: str) -> Conditions:
    reader = Reader(text, file, depth=MAX_DEPTH, begins="`actions:` or `workflows:` with conditions")
    root = reader.root()
    found = _Texts(reader, actions).read(root)
    if reader.problems:
        raise BrokenPolicy(reader.problems)
    return Conditions(file, hashlib.sha256(text.encode(errors="replace")).hexdigest(), *found)


class _Texts:
    """Reads one text."""

    def __init__(self, reader: Reader, actions: Sequence[str] | None) -> None:
        self._reader = reader
        self._actions = actions
        self._expressions = Expressions(LANGUAGE, reader.file)
        self._expressions.problems = reader.problems

    def read(self, root: yaml.Node) -> tuple[dict[str, Guard], dict[str, Guard]]:
        """Return the conditions by action and by workflow."""
        entries = self._entries(root, "the text", ("actions", "workflows"))
        return self._guards(entries, "actions", self._action), self._guards(entries, "workflows", self._workflow)

    def _guards(self, entries: Entries, key: str, name: Callable[[str, Place], str]) -> dict[str, Guard]:
        found: dict[str, Guard] = {}
        for spelling, (place, node) in self._below(entries, key).items():
            known = name(spelling, place)
            if known in found:
                self._reader.problem(place, f"{known} is there twice. Keep one")
            found[known] = self._guard(node, spelling)
        return found

    def _action(self, spelling: str, place: Place) -> str:
        """Return an action's canonical name; conditions of one that is not there would never be asked."""
        name = canonical_name(spelling)
        if self._actions is not None and name not in self._actions:
            self._reader.problem(place, f"there is no action {spelling[:80]!r}. The actions are {', '.join(self._actions)}")
        return name

    def _workflow(self, spelling: str, place: Place) -> str:
        if not _WORKFLOW.fullmatch(spelling):
            self._reader.problem(place, f"{spelling[:80]!r} is no workflow's id. Write it as the catalogue has it")
        return spelling

    def _guard(self, node: yaml.Node, name: str) -> Guard:
        entries = self._entries(node, name, ("pre", "post"))
        return Guard(self._list(entries, "pre"), self._list(entries, "post"))

    def _list(self, entries: Entries, when: str) -> tuple[Condition, ...]:
        if when not in entries:
            return ()
        place, node = entries[when]
        nodes = self._reader.sequence(node, f"`{when}`")
        if len(nodes) > MAX_LIST:
            self._reader.problem(place, f"there are {len(nodes)} conditions. A list has at most {MAX_LIST}")
        types: set[str] = set()
        return tuple(self._condition(each, when, types) for each in nodes[:MAX_LIST])

    def _condition(self, node: yaml.Node, when: str, types: set[str]) -> Condition:
        entries = self._entries(node, "a condition", KEYS)
        before = len(self._reader.problems)
        type_ = self._type(node, entries, types)
        description = self._text(node, entries, "description")
        if len(description.value) > MAX_DESCRIPTION:
            self._reader.problem(description.place, f"the description is longer than {MAX_DESCRIPTION} characters. Shorten it")
        expression = self._expressions.expression(self._text(node, entries, "when"), frozenset({"BOOL", "DYN"}), "`when`")
        found = Condition(type_.value, description.value, expression, self._required(entries), self._timeout(entries, when))
        if len(self._reader.problems) == before:
            self._try(found, entries)
        return found

    def _type(self, node: yaml.Node, entries: Entries, types: set[str]) -> Text:
        found = self._text(node, entries, "type")
        if found.value and not _TYPE.fullmatch(found.value):
            self._reader.problem(found.place, f"{found.value[:80]!r} is no type. Use up to 63 letters, digits, `_` and `-`")
        if found.value in types:
            self._reader.problem(found.place, f"a condition before this one is of type {found.value!r}. Give it another")
        types.add(found.value)
        return found

    def _text(self, node: yaml.Node, entries: Entries, key: str) -> Text:
        if key in entries:
            return self._reader.text(entries[key][1], f"`{key}`")
        self._reader.problem(place_of(node), f"the condition has no `{key}`. A condition has type, description and when")
        return Text("", place_of(node))

    def _required(self, entries: Entries) -> bool:
        if "required" not in entries:
            return True
        found = self._reader.value(entries["required"][1])
        if not isinstance(found.value, bool):
            self._reader.problem(found.place, "`required` is true or false. Write one of them")
        return found.value is not False

    def _timeout(self, entries: Entries, when: str) -> timedelta:
        if "timeout" not in entries:
            return DEFAULTS[when]
        text = self._reader.text(entries["timeout"][1], "`timeout`")
        try:
            found = parse_duration(text.value)
        except ValueError as fault:
            self._reader.problem(text.place, f"`timeout`: {str(fault)[:200]}")
            return DEFAULTS[when]
        if found > LONGEST[when]:
            self._reader.problem(text.place, f"`timeout` is longer than {LONGEST[when]}, which is the longest in `{when}`. Shorten it")
        return found

    def _try(self, condition: Condition, entries: Entries) -> None:
        """Judge the condition's samples; one that is judged otherwise than it says is a fault of the text."""
        nodes = self._reader.sequence(entries["samples"][1], "`samples`") if "samples" in entries else []
        if len(nodes) > MAX_SAMPLES:
            self._reader.problem(entries["samples"][0], f"there are {len(nodes)} samples. A condition has at most {MAX_SAMPLES}")
        for each in nodes[:MAX_SAMPLES]:
            before = len(self._reader.problems)
            sample = sample_of(LANGUAGE, self._reader, each)
            if len(self._reader.problems) == before:
                self._compare(condition, sample)

    def _compare(self, condition: Condition, sample: Sample) -> None:
        wanted = sample.expect.get("met")
        if not isinstance(wanted, bool):
            self._reader.problem(sample.place, f"sample {sample.name!r} expects nothing. Write `expect: {{met: true}}`, or false")
            return
        [found] = judge([condition], sample.given, (), NEVER)
        if found.passed != wanted:
            said = "met" if found.passed else f"not met: {found.error_message}"
            message = f"sample {sample.name!r} expects {condition.type} to be {'met' if wanted else 'unmet'}, but it is {said}"
            self._reader.problem(sample.place, f"{message}. Change `when`, or the sample")

    def _below(self, entries: Entries, key: str) -> Entries:
        return self._reader.mapping(entries[key][1], f"`{key}`") if key in entries else {}

    def _entries(self, node: yaml.Node, what: str, keys: Sequence[str]) -> Entries:
        """Return a mapping's entries; note keys that are not known."""
        found = self._reader.mapping(node, what)
        for key, (place, _) in found.items():
            if key not in keys:
                self._reader.problem(place, f"{what[:80]} has no key {key[:80]!r}. Its keys are {', '.join(keys)}")
        return found
