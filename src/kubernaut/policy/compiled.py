"""A policy ready to judge: every expression compiled and type-checked once, evaluated in order, with an account of which rule said what.

Nothing a user writes can break a caller: a rule that cannot be evaluated counts as not matching, and is told.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic

from cel_expr_python import cel
from pydantic import ValidationError

from kubernaut.policy.document import BrokenPolicy, Place, Problem, RuleText, Text, read
from kubernaut.policy.language import Language, R

MESSAGE_LIMIT: Final = 300
ALL_FIELDS: Final[frozenset[str]] = frozenset()
_ERROR: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_STATUS: Final = re.compile(r"^[A-Z_]+: ")
_MISSING_KEY: Final = re.compile(r'Key not found in map : "?(.*?)"?$')
_CEL_FAULTS: Final = (RuntimeError, TypeError, ValueError)
"""What the CEL library raises for what it cannot compile or evaluate."""


class NoValue(ValueError):  # noqa: N818  (says what is so)
    """An expression has no value for these variables."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression, and where it stands."""

    text: Text
    program: "cel.Expression"

    def value(self, activation: "cel.Activation") -> Any:
        """Return the value as plain Python; raise NoValue where there is none."""
        try:
            found = self.program.eval(activation)
            if found.type() != cel.Type.ERROR:
                return found.plain_value()
        except _CEL_FAULTS as fault:
            raise NoValue(_evaluation_message(str(fault))) from fault
        raise NoValue(_evaluation_message(str(found.value())))


def activate(language: Language[Any], values: Mapping[str, Any]) -> "cel.Activation":
    """Return the values of a case for its expressions; variables that are not given are empty. Raise NoValue for what CEL cannot hold."""
    try:
        return language.environment.Activation({**language.empty(), **values})
    except _CEL_FAULTS as fault:
        raise NoValue(_evaluation_message(str(fault))) from fault


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule."""

    name: str
    place: Place
    match: Expression
    constants: Mapping[str, Any]
    computed: Mapping[str, Expression]

    @property
    def fields(self) -> frozenset[str]:
        """What it sets."""
        return frozenset({*self.constants, *self.computed})


@dataclass(frozen=True, slots=True)
class Match(Generic[R]):
    """A rule that holds, and what it says."""

    rule: str
    index: int
    """The rule's place in the order, from 0."""
    says: R

    def fields(self) -> frozenset[str]:
        """Return the names, as documents spell them, of the fields that it sets; a null sets nothing."""
        return frozenset(_spelling(self.says, name) for name in self.says.model_fields_set if getattr(self.says, name) is not None)


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that could not be evaluated, and so did not count."""

    rule: str
    index: int
    problem: Problem

    def __str__(self) -> str:
        return str(self.problem)


@dataclass(frozen=True, slots=True)
class Verdict(Generic[R]):
    """What a policy says of one case: all rules that hold, in order, and those that could not be evaluated."""

    matches: tuple[Match[R], ...] = ()
    faults: tuple[Fault, ...] = ()

    def deciding(self, name: str) -> Match[R] | None:
        """Return the first rule that sets a field, named as in documents."""
        return next((match for match in self.matches if name in match.fields()), None)


class Policy(Generic[R]):
    """A compiled policy."""

    def __init__(self, language: Language[R], text: str, file: str) -> None:
        """Compile; raise BrokenPolicy with everything that is wrong. `file` names the text in messages."""
        self.language = language
        self.file = file
        self.hash = hashlib.sha256(text.encode(errors="replace")).hexdigest()
        compiler = _Compiler(language, file)
        self.rules = tuple(compiler.rule(rule) for rule in read(text, file))
        if compiler.problems:
            raise BrokenPolicy(compiler.problems)

    def judge(self, values: Mapping[str, Any], about: frozenset[str] = ALL_FIELDS) -> Verdict[R]:
        """Judge a case by the rules that set any of some fields (all where none is named); variables that are not given are empty."""
        activation = activate(self.language, values)
        asked = [(index, rule) for index, rule in enumerate(self.rules) if not about or about & rule.fields]
        answers = [self._apply(rule, index, activation) for index, rule in asked]
        matches = tuple(answer for answer in answers if isinstance(answer, Match))
        return Verdict(matches, tuple(answer for answer in answers if isinstance(answer, Fault)))

    def _apply(self, rule: Rule, index: int, activation: "cel.Activation") -> Match[R] | Fault | None:
        """Return what a rule says (a computed text that is empty says nothing), why it cannot be evaluated, or None."""
        expression = rule.match
        try:
            if expression.value(activation) is not True:
                return None
            said = dict(rule.constants)
            for name, expression in rule.computed.items():
                if (value := expression.value(activation)) != "":
                    said[name] = value
            return Match(rule.name, index, self.language.result.model_validate(said))
        except NoValue as fault:
            return self._fault(rule, index, expression.text.place, str(fault))
        except ValidationError as fault:
            return self._fault(rule, index, expression.text.place, _validation_message(fault))

    def _fault(self, rule: Rule, index: int, place: Place, message: str) -> Fault:
        return Fault(rule.name, index, Problem(self.file, place, f"rule {rule.name} did not count: {message}"))


class Expressions(Generic[R]):
    """Compiles expressions in a language, and gathers what is wrong with them; `file` names their text in messages."""

    def __init__(self, language: Language[R], file: str) -> None:
        self._language = language
        self._file = file
        self.problems: list[Problem] = []

    def expression(self, text: Text, gives: frozenset[str], what: str) -> Expression:
        """Compile one, which must give one of some CEL types where any is named; `what` names it in messages."""
        try:
            program = self._language.environment.compile(text.value)
        except _CEL_FAULTS as fault:
            self._compile_problems(text, str(fault), what)
            return Expression(text, None)
        given = program.return_type().name().partition("<")[0]
        if gives and given not in gives:
            wanted = " or ".join(sorted(name.lower() for name in gives - {"DYN"}))
            self.problem(text.place, f"{what} must give {wanted}, and this gives {given.lower()}. Change the expression")
        return Expression(text, program)

    def problem(self, place: Place, message: str) -> None:
        """Note what is wrong at a place."""
        self.problems.append(Problem(self._file, place, message))

    def _compile_problems(self, text: Text, message: str, what: str) -> None:
        found = list(_compile_errors(message)) if text.value else []
        for line, column, why in found:
            place = text.at(line, column)
            inside = "" if place or line < 1 else f" (line {line}, column {column} of the expression)"
            self.problem(place or text.place, f"{what}: {why}{inside}. {self._remedy(why)}")
        if text.value and not found:
            self.problem(text.place, f"{what} is no CEL: {' '.join(message.split())[:MESSAGE_LIMIT]}. Write another expression")

    def _remedy(self, why: str) -> str:
        if why.startswith(("undeclared", "reserved")):
            return f"The variables are {', '.join(self._language.variables)}"
        if why.startswith("found no matching overload"):
            return "Compare and combine only values of one type"
        return "Correct the expression"


class _Compiler(Expressions[R]):
    """Compiles rules."""

    def rule(self, rule: RuleText) -> Rule:
        """Compile one rule."""
        self._known(rule.keys)
        self._check_constants(rule)
        computed = {name: self.expression(text, self._gives(name), f"`{name}`") for name, text in rule.computed.items()}
        match = self.expression(rule.match, frozenset({"BOOL"}), "`match`")
        constants = {name: constant.value for name, constant in rule.constants.items()}
        return Rule(rule.name, rule.place, match, constants, computed)

    def _gives(self, name: str) -> frozenset[str]:
        known = self._language.fields.get(name)
        return known.gives if known else frozenset()

    def _known(self, places: Mapping[str, Place]) -> None:
        for name, place in places.items():
            if name not in self._language.fields:
                self.problem(place, f"there is nothing named {name!r} to set. A {self._language.name} rule sets {self._names()}")

    def _names(self) -> str:
        return ", ".join(self._language.fields)

    def _check_constants(self, rule: RuleText) -> None:
        known = {name: constant for name, constant in rule.constants.items() if name in self._language.fields}
        try:
            self._language.result.model_validate({name: constant.value for name, constant in known.items()})
        except ValidationError as fault:
            for error in fault.errors(include_url=False):
                constant = known.get(str(error["loc"][0])) if error["loc"] else None
                place = constant.place if constant else rule.place
                self.problem(place, f"{'.'.join(map(str, error['loc']))}: {error['msg']}. Write a value that fits"[:MESSAGE_LIMIT])


def _compile_errors(message: str) -> Iterator[tuple[int, int, str]]:
    for line, column, why in _ERROR.findall(message):
        yield int(line), int(column), why.replace(" (in container '')", "").removesuffix(" [INVALID_ARGUMENT]")[:MESSAGE_LIMIT]


def _evaluation_message(message: str) -> str:
    """Say in a sentence why an expression has no value."""
    plain = _STATUS.sub("", " ".join(message.split()))
    if missing := _MISSING_KEY.search(plain):
        key = missing[1][:100]
        return f"there is no key {key!r}. Ask `{key!r} in …` first, or write `[?{key!r}].orValue('')`"
    return f"{plain[:MESSAGE_LIMIT]}. Change the expression so that it has a value in this case too"


def _validation_message(fault: ValidationError) -> str:
    found = "; ".join(
        f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in fault.errors(include_url=False, include_input=False)
    )
    return f"what it computes does not fit: {found[:MESSAGE_LIMIT]}"


def _spelling(said: R, name: str) -> str:
    return type(said).model_fields[name].alias or name
