"""What stands in the files of `kubernaut policy test`: policies, workflows, samples and cases, each with its place in its file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from kubernaut.analysis.approval_words import APPROVAL
from kubernaut.api.base import Unusable
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.catalog.judging import faults
from kubernaut.cli.documents import SUFFIXES
from kubernaut.cli.policy_cases import CASE_KEYS, SampleCase, described
from kubernaut.policy.document import BrokenPolicy, Place, Problem, place_of
from kubernaut.policy.language import Language
from kubernaut.policy.samples import Sample, read_samples
from kubernaut.processing.policy import CLASSIFICATION

LANGUAGES: Final[tuple[Language[Any], ...]] = (APPROVAL, CLASSIFICATION)
FILE_LIMIT: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy as it stands in a file; blank lines stand where the file has something else, so that places are the file's."""

    language: Language[Any]
    text: str
    file: str


@dataclass(frozen=True, slots=True)
class PlacedSample:
    """A sample of one language's variables and fields."""

    language: Language[Any]
    sample: Sample


@dataclass(frozen=True, slots=True)
class PlacedCase:
    """A case that is played through, with the place of everything in it."""

    case: SampleCase
    file: str
    node: yaml.Node

    def place(self, *path: str) -> Place:
        """Return where a part of it stands; of what stands nowhere, where the part around it does."""
        return place_of(_node_at(self.node, path))


@dataclass(slots=True)
class Found:
    """All that was read, and all that is wrong with it."""

    policies: list[PolicyText] = field(default_factory=list)
    workflows: list[RemediationWorkflow] = field(default_factory=list)
    samples: list[PlacedSample] = field(default_factory=list)
    cases: list[PlacedCase] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_files(paths: Sequence[Path]) -> Found:
    """Read files, and the YAML files of directories; raise Unusable or OSError for what is no readable file."""
    found = Found()
    for path in paths:
        for file in sorted(each for each in path.iterdir() if each.suffix in SUFFIXES) if path.is_dir() else [path]:
            _read(file, found)
    return found


def _read(path: Path, found: Found) -> None:
    if path.stat().st_size > FILE_LIMIT:
        raise Unusable(f"{path}: larger than {FILE_LIMIT} bytes")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Unusable(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error
    file = str(path)
    try:
        nodes = [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node is not None]
    except (yaml.YAMLError, ValueError):
        found.policies.append(PolicyText(APPROVAL, text, file))  # the reader of policies tells what is wrong, and where
        return
    for node in nodes:
        _sorted(node, _part(text, node.start_mark.line, node.end_mark.line + 1), file, found)


def _part(text: str, first: int, end: int) -> str:
    """Return some lines of a text, with blank lines in place of those before them."""
    lines = text.splitlines(keepends=True)[first:end]
    kept = [line for number, line in enumerate(lines) if number == 0 or not line.startswith(("---", "..."))]
    return "\n" * first + "".join(kept).removeprefix("---")


def _sorted(node: yaml.Node, text: str, file: str, found: Found) -> None:
    """Put a document where it belongs."""
    plain = _plain(node)
    kind = plain.get("kind") if isinstance(plain, dict) else None
    if isinstance(plain, list):
        _list(node, plain, text, file, found)
    elif isinstance(plain, dict) and "rules" in plain:
        found.policies.append(PolicyText(_language_of(plain), text, file))
    elif kind == "ConfigMap":
        found.policies.extend(_of_config_map(node, text, file))
    elif kind == RemediationWorkflow.card.kind:
        _workflow(node, plain, file, found)
    else:
        what = f"a {kind}" if kind else "this"
        message = f"{what} is neither policy (`rules:`, or a ConfigMap with one), RemediationWorkflow, nor a list of samples"
        found.problems.append(Problem(file, place_of(node), message))


def _plain(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError):
        return None
    finally:
        loader.dispose()


def _language_of(policy: Mapping[str, Any]) -> Language[Any]:
    """Return the language of a policy: the one whose fields its rules set most."""
    rules = policy["rules"] if isinstance(policy["rules"], list) else []
    names = [name for rule in rules if isinstance(rule, dict) for key in ("set", "compute") for name in _keys(rule.get(key))]
    return max(LANGUAGES, key=lambda language: sum(name in language.fields for name in names))


def _keys(value: Any) -> list[str]:
    return [str(key) for key in value] if isinstance(value, dict) else []


def _of_config_map(node: yaml.Node, text: str, file: str) -> Iterator[PolicyText]:
    """Yield the policies among a ConfigMap's values, each in its own lines of the file."""
    data = _node_at(node, ("data",))
    for _, value in data.value if isinstance(data, yaml.MappingNode) else ():
        inner = yaml.safe_load(value.value) if _is_yaml(value) else None
        if isinstance(inner, dict) and "rules" in inner:
            first = value.start_mark.line + 1
            block = value.style == "|"
            own = _part(text, first, first + value.value.count("\n")) if block else "\n" * (first - 1) + value.value
            yield PolicyText(_language_of(inner), own, file)


def _is_yaml(node: yaml.Node) -> bool:
    try:
        yaml.safe_load(node.value)
    except (yaml.YAMLError, ValueError, AttributeError):
        return False
    return isinstance(node, yaml.ScalarNode)


def _list(node: yaml.Node, plain: list[Any], text: str, file: str, found: Found) -> None:
    """Read samples: those with an alert or a diagnosis are played through, others are of one language."""
    if any(isinstance(row, dict) and CASE_KEYS & row.keys() for row in plain):
        for each, row in zip(node.value, plain, strict=True):
            _case(each, row, file, found)
        return
    rows = [row for row in plain if isinstance(row, dict)]
    names = [name for row in rows for key in ("expect", "given") for name in _keys(row.get(key))]
    language = max(LANGUAGES, key=lambda each: sum(name in each.fields or _asked(each, name) for name in names))
    try:
        found.samples.extend(PlacedSample(language, sample) for sample in read_samples(language, text, file))
    except BrokenPolicy as fault:
        found.problems.extend(fault.problems)


def _asked(language: Language[Any], name: str) -> bool:
    return any(variable == name or variable.startswith(f"{name}.") for variable in language.variables)


def _case(node: yaml.Node, row: Any, file: str, found: Found) -> None:
    try:
        found.cases.append(PlacedCase(SampleCase.model_validate(row), file, node))
    except ValidationError as fault:
        for error in fault.errors(include_url=False, include_input=False):
            path = tuple(map(str, error["loc"]))
            found.problems.append(Problem(file, place_of(_node_at(node, path)), described(path, error["msg"])))


def _workflow(node: yaml.Node, plain: Mapping[str, Any], file: str, found: Found) -> None:
    try:
        workflow = RemediationWorkflow.model_validate(plain)
    except ValidationError as fault:
        for error in fault.errors(include_url=False, include_input=False):
            path = tuple(map(str, error["loc"]))
            found.problems.append(Problem(file, place_of(_node_at(node, path)), f"{'.'.join(path)}: {error['msg']}"))
        return
    for told in faults(workflow):
        found.problems.append(Problem(file, place_of(_about(node, told)), f"{workflow.spec.workflow_id}: {told}"))
    found.workflows.append(workflow)


def _about(node: yaml.Node, told: str) -> yaml.Node:
    """Return the node that a fault of a workflow is about: a parameter that it names, else the whole."""
    words = told.split(":", maxsplit=1)[0].split()
    rows = _node_at(node, ("spec", "parameters"))
    if len(words) == 2 and words[0] == "parameter" and isinstance(rows, yaml.SequenceNode):  # noqa: PLR2004  (the word and the name)
        return next((row for row in rows.value if (_plain(row) or {}).get("name") == words[1]), node)
    return _node_at(node, ("spec", words[0])) if words and words[0] in {"preview", "rollbackParameters"} else node


def _node_at(node: yaml.Node, path: Sequence[str]) -> yaml.Node:
    """Follow keys and positions into a node as far as they lead."""
    for step in path:
        inner = _child(node, step)
        if inner is None:
            break
        node = inner
    return node


def _child(node: yaml.Node, step: str) -> yaml.Node | None:
    inner: dict[str, yaml.Node] = {}
    if isinstance(node, yaml.SequenceNode):
        inner = {str(number): each for number, each in enumerate(node.value)}
    elif isinstance(node, yaml.MappingNode):
        inner = {str(key.value): value for key, value in node.value}
    return inner.get(step, inner.get(_camel(step)))


def _camel(step: str) -> str:
    first, *rest = step.split("_")
    return first + "".join(map(str.capitalize, rest))
