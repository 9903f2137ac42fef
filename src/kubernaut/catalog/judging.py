"""Whether a workflow may be on offer: what is wrong with its content, and which of several versions counts. Pure."""

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Final

from kubernaut.api.catalog import SHELVED_ANNOTATION, CatalogStatus, Parameter, ParameterType, RemediationWorkflow, version_key
from kubernaut.api.parameters import fault_of

FAULT_LIMIT: Final = 20
_IDS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://kubernaut.ai/catalog")
_VARIABLE: Final = re.compile(r"\$\(([^)]*)\)")
_NUMBERS: Final = frozenset({ParameterType.INTEGER, ParameterType.FLOAT, ParameterType.QUANTITY})
_BY_HAND: Final = {status.value.casefold(): status for status in (CatalogStatus.DISABLED, CatalogStatus.DEPRECATED)}


def content_id(workflow: RemediationWorkflow) -> str:
    """Return the id that follows from the content: the same spec has the same id, on every cluster."""
    return str(uuid.uuid5(_IDS, json.dumps(workflow.spec.wire(), sort_keys=True, separators=(",", ":"))))


def faults(workflow: RemediationWorkflow) -> list[str]:
    """Return what is wrong with a workflow beyond what its schema refuses, one sentence each; empty when it may be run."""
    spec = workflow.spec
    found = [f"parameter {parameter.name}: {fault}" for parameter in spec.parameters for fault in _parameter_faults(parameter)]
    found += [*_relations(spec.parameters), *_previews(workflow), *_ways_back(workflow)]
    text = workflow.metadata.annotations.get(SHELVED_ANNOTATION, "")
    if text and text.casefold() not in _BY_HAND:
        found.append(f"the annotation {SHELVED_ANNOTATION} says {text[:63]!r}: it may say Disabled or Deprecated")
    return found[:FAULT_LIMIT]


def status_of(workflow: RemediationWorkflow, found: Sequence[str], versions: Iterable[RemediationWorkflow]) -> CatalogStatus:
    """Return whether it may be chosen: invalid content first, then what a person says, then whether a newer version is on offer."""
    if found:
        return CatalogStatus.INVALID
    if shelved := _shelved(workflow):
        return shelved
    newer = (each for each in versions if version_key(each.spec.version) > version_key(workflow.spec.version))
    if any(not faults(each) and not _shelved(each) for each in newer):
        return CatalogStatus.SUPERSEDED
    return CatalogStatus.ACTIVE


def _shelved(workflow: RemediationWorkflow) -> CatalogStatus | None:
    return _BY_HAND.get(workflow.metadata.annotations.get(SHELVED_ANNOTATION, "").casefold())


def _parameter_faults(parameter: Parameter) -> Iterator[str]:
    """Yield what is wrong with one parameter's own schema."""
    try:
        re.compile(parameter.pattern)
    except re.error as error:
        yield f"its pattern is no regular expression: {error}"
        return
    least, most = parameter.minimum, parameter.maximum
    if (least is not None or most is not None) and parameter.type not in _NUMBERS:
        yield f"a {parameter.type.value} has no minimum and maximum"
    if least is not None and most is not None and least > most:
        yield f"its minimum {least:g} is more than its maximum {most:g}"
    unlisted = parameter.model_copy(update={"enum": []})
    values = [("default", parameter, parameter.default)] if parameter.default else []
    for name, schema, value in (*values, *(("enum", unlisted, each) for each in parameter.enum)):
        if fault := fault_of(schema, value or ""):
            yield f"its {name}: {fault}"


def _relations(parameters: Sequence[Parameter]) -> Iterator[str]:
    """Yield what is wrong between parameters: names twice, dependencies on nothing or in a circle."""
    names = [parameter.name for parameter in parameters]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"parameter {name}: there are two of that name"
    for parameter in parameters:
        for name in parameter.depends_on:
            if name not in names:
                yield f"parameter {parameter.name}: it depends on {name}, which is no parameter"
    try:
        TopologicalSorter({parameter.name: parameter.depends_on for parameter in parameters}).prepare()
    except CycleError as fault:
        yield f"parameters depend on each other in a circle: {' -> '.join(fault.args[1])}"


def _previews(workflow: RemediationWorkflow) -> Iterator[str]:
    """Yield what is wrong with the preview: variables that no parameter fills, and steps that wait for what is not there."""
    names = {parameter.name for parameter in workflow.spec.parameters}
    numbers = [step.step_number for step in workflow.spec.preview]
    for step in workflow.spec.preview:
        used = _VARIABLE.findall(json.dumps(step.wire()))
        for name in sorted(set(used) - names):
            yield f"preview step {step.step_number}: $({name}) is no parameter"
        if unknown := [number for number in step.depends_on if number not in numbers]:
            yield f"preview step {step.step_number}: it waits for step {unknown[0]}, which is not there"
    if len(set(numbers)) != len(numbers):
        yield "preview: two steps have one number"


def _ways_back(workflow: RemediationWorkflow) -> Iterator[str]:
    names = {parameter.name for parameter in workflow.spec.parameters}
    for name in sorted(set(workflow.spec.rollback_parameters) - names):
        yield f"rollbackParameters: {name} is no parameter"
    if workflow.spec.rollback_workflow == workflow.spec.workflow_id:
        yield "rollbackWorkflow: a workflow does not take itself back"
