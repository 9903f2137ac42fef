"""A policy tried on cases before it goes live: what each must be judged, and where the policy says otherwise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubernaut.policy.compiled import Policy, Verdict
from kubernaut.policy.document import BrokenPolicy, Place, Problem, Reader, place_of
from kubernaut.policy.language import Language, R, Type


@dataclass(frozen=True, slots=True)
class Sample:
    """A case, and what is expected of it."""

    name: str
    file: str
    place: Place
    given: Mapping[str, Any]
    """Values of variables, by their whole names; those left out are empty."""
    expect: Mapping[str, Any]
    """Fields, named as in documents, with the values they must get; null where no rule may set one."""


def check(language: Language[R], text: str, file: str, samples: Sequence[Sample] = ()) -> list[Problem]:
    """Return what is wrong with a policy: all that keeps it from being used, else each sample that is judged otherwise than expected."""
    try:
        policy = Policy(language, text, file)
    except BrokenPolicy as fault:
        return list(fault.problems)
    return [problem for sample in samples for problem in differences(policy, sample)]


def read_samples(language: Language[R], text: str, file: str) -> list[Sample]:
    """Read cases: a YAML list of `name`, `given` (variables, nested or dotted) and `expect` (fields); raise BrokenPolicy."""
    reader = Reader(text, file)
    samples = [sample_of(language, reader, node) for node in reader.sequence(reader.root(), "the samples")]
    if reader.problems:
        raise BrokenPolicy(reader.problems)
    return samples


def sample_of(language: Language[R], reader: Reader, node: Any) -> Sample:
    """Read one case; what is wrong with it, the reader has noted."""
    entries = reader.mapping(node, "a sample")
    for key, (place, _) in entries.items():
        if key not in ("name", "given", "expect"):
            reader.problem(place, f"a sample has no key {key!r}. Its keys are name, given, expect")
    name = reader.text(entries["name"][1], "`name`").value if "name" in entries else ""
    values = {
        key: reader.value(entries[key][1]).value for key in ("given", "expect") if key in entries and _mapped(reader, entries[key][1], key)
    }
    given = dict(_flat(language, values.get("given", {})))
    place = place_of(node)
    for problem in (*_bad_variables(language, given), *_bad_fields(language, values.get("expect", {}))):
        reader.problem(place, problem)
    return Sample(name or f"line {place.line}", reader.file, place, given, values.get("expect", {}))


def _mapped(reader: Reader, node: Any, key: str) -> bool:
    return bool(reader.mapping(node, f"`{key}`"))


def _flat(language: Language[R], given: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield values by the whole names of their variables: `target: {kind: Pod}` is `target.kind`."""
    for key, value in given.items() if isinstance(given, dict) else ():
        name = f"{before}{key}"
        if name not in language.variables and isinstance(value, dict):
            yield from _flat(language, value, f"{name}.")
        else:
            yield name, float(value) if _is_real(language, name) and isinstance(value, int) else value


def _is_real(language: Language[R], name: str) -> bool:
    return name in language.variables and language.variables[name].type is Type.REAL


def _bad_variables(language: Language[R], given: Mapping[str, Any]) -> Iterator[str]:
    for name, value in given.items():
        variable = language.variables.get(name)
        if variable is None:
            yield f"there is no variable {name}. The variables are {', '.join(language.variables)}"
        elif not _fits(variable.type, value):
            yield f"{name} must be of type {variable.type.label}. Write such a value, in quotes where it is a text"


def _fits(type_: Type, value: Any) -> bool:
    if type_ is Type.TEXTS:
        return isinstance(value, dict) and all(isinstance(part, str) for pair in value.items() for part in pair)
    if type_ is Type.OBJECT:
        return isinstance(value, dict) and all(isinstance(key, str) for key in value)
    if type_ is Type.OBJECTS:
        return isinstance(value, list) and all(_fits(Type.OBJECT, each) for each in value)
    return type(value) is type_.python


def _bad_fields(language: Language[R], expect: Mapping[str, Any]) -> Iterator[str]:
    for name in expect:
        if name not in language.fields:
            yield f"there is nothing named {name!r} to expect. A {language.name} policy sets {', '.join(language.fields)}"


def differences(policy: Policy[R], sample: Sample) -> Iterator[Problem]:
    """Yield what a policy makes of a sample otherwise than expected, and the rules that could not be evaluated for it."""
    verdict = policy.judge(sample.given)
    for fault in verdict.faults:
        yield Problem(fault.problem.file, fault.problem.place, f"in sample {sample.name!r}, {fault.problem.message}")
    for name, wanted in sample.expect.items():
        found, rule = _decided(verdict, name)
        if found != wanted:
            said = f"rule {rule} makes it {found!r}" if rule else "no rule sets it"
            message = f"sample {sample.name!r} expects {name} to be {wanted!r}, but {said}. Change the rules, or the sample"
            yield Problem(sample.file, sample.place, message)


def _decided(verdict: Verdict[R], name: str) -> tuple[Any, str]:
    match = verdict.deciding(name)
    return (match.says.model_dump(mode="json", by_alias=True)[name], match.rule) if match else (None, "")
