"""What HolmesGPT said, held against what it was offered and what is there. What does not hold is a fault, which it may correct. Pure."""

from dataclasses import replace
from typing import Annotated, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from kubernaut.analysis.investigators.base import Alternative, Cause, Evidence, Facts, Finding, Question, Verdict, plain
from kubernaut.analysis.investigators.holmesgpt.offer import Choice, containers
from kubernaut.analysis.select import Case, select
from kubernaut.analysis.snapshot import Snapshot, source
from kubernaut.api.parameters import VALUE_LIMIT, fault_of

NAME: Final = "holmesgpt"
UNKNOWN: Final = "Unknown"
ANSWER_LIMIT: Final = 64 * 1024
ADVICE_LIMIT: Final = 900
Text = Annotated[str, StringConstraints(max_length=4000)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SaidEvidence(_Said):
    """One thing that was read."""

    object: Text
    field: Text = ""
    value: Text = ""
    says: Text = ""


class SaidAlternative(_Said):
    """Another explanation."""

    cause: Text
    why_not: Text = ""


class Answer(_Said):
    """An answer in the form that was asked for; whatever else it holds (targets, approvals, commands) is not read."""

    cause: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{1,62}$")]
    summary: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    confidence: float = Field(ge=0, le=1)
    evidence: Annotated[list[SaidEvidence], Field(max_length=50)] = []
    factors: Annotated[list[Text], Field(max_length=50)] = []
    alternatives: Annotated[list[SaidAlternative], Field(max_length=50)] = []
    workflow: Annotated[str, StringConstraints(max_length=63)] = ""
    parameters: Annotated[dict[str, str | int | float | bool], Field(max_length=64)] = {}
    advice: Text = ""


def read(text: str) -> Answer | list[str]:
    """Read an answer; or return what is wrong with its form."""
    if len(text) > ANSWER_LIMIT:
        return ["it is too long"]
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin:
        return ["it is no JSON object"]
    try:
        return Answer.model_validate(orjson.loads(text[begin : end + 1]))
    except orjson.JSONDecodeError as fault:
        return [f"it is no JSON: {fault}"]
    except ValidationError as error:
        return [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:10]]


def hold(answer: Answer, question: Question, snapshot: Snapshot, choices: tuple[Choice, ...]) -> Finding | list[str]:
    """Return what an answer comes to; or what does not hold: an unknown workflow, a parameter outside its schema, evidence of nothing."""
    known = _known(answer, snapshot)
    if answer.cause == UNKNOWN:
        return _finding(answer, snapshot, known, Verdict.INCONCLUSIVE)
    if not known:
        return [f"none of its evidence is about an object of this case, such as {snapshot.target.path()}"]
    if not answer.workflow:
        return _finding(answer, snapshot, known, Verdict.CAUSE_FOUND)
    choice = next((each for each in choices if each.id == answer.workflow), None)
    if choice is None:
        return [
            f"workflow {plain(answer.workflow)!r} is none of those offered: {', '.join(each.id for each in choices) or 'there are none'}"
        ]
    facts, faults = _filled(choice, answer, snapshot)
    if faults:
        return faults
    found = replace(
        _finding(answer, snapshot, known, Verdict.CAUSE_FOUND),
        target=choice.target,
        action=choice.workflow.spec.action_type,
        workflow=choice.id,
        facts=facts,
    )
    return _unfit(found, question, choice) or found


def _filled(choice: Choice, answer: Answer, snapshot: Snapshot) -> tuple[Facts, list[str]]:
    """Return the facts of the chosen workflow: what the cluster shows, and for what is open what was said, as far as its schema allows."""
    said = {name: _text(value) for name, value in answer.parameters.items()}
    open_ = {each.name: each for each in choice.open}
    closed = {each.name for each in choice.workflow.spec.parameters} - set(open_)
    faults = [f"parameter {plain(name, 80)} is none of the workflow's" for name in sorted(said) if name not in open_ and name not in closed]
    facts = dict(choice.facts)
    for name, parameter in open_.items():
        if name in said:
            faults += [f"parameter {name}: {fault}" for fault in [fault_of(parameter, said[name])] if fault]
            facts[parameter.from_fact] = said[name]
        elif parameter.required and parameter.default is None:
            faults.append(f"parameter {name} is required and not given")
    names = containers(snapshot)
    if "container" in facts and names and facts["container"] not in names:
        faults.append(f"there is no container {plain(facts['container'], 80)!r}; there are {', '.join(names)}")
    return facts, faults


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[: VALUE_LIMIT + 1]


def _unfit(found: Finding, question: Question, choice: Choice) -> list[str]:
    """Return why selection would not take the workflow: labels, history, schema."""
    selection = select([choice.workflow], Case(found, question.request.alert_context, question.tried))
    return [f"workflow {choice.id}: {each.why}" for each in selection.rejected]


def _known(answer: Answer, snapshot: Snapshot) -> tuple[Evidence, ...]:
    """Return the evidence about objects that are there; of what text says of them nothing is believed but that it was said."""
    there = {source(obj) for obj in _objects(snapshot)}
    rows = ((row.object.strip().casefold(), row) for row in answer.evidence)
    return tuple(
        Evidence(name, plain(row.field or "status", 120), plain(row.value), plain(row.says) or "read by HolmesGPT")
        for name, row in rows
        if name in there
    )[:20]


def _objects(snapshot: Snapshot) -> list[dict[str, object]]:
    related = [obj for found in snapshot.related.values() for obj in found]
    namespace = [snapshot.namespace] if snapshot.namespace else []
    return [*snapshot.chain, *snapshot.pods, *snapshot.replica_sets, *snapshot.events, *snapshot.nodes, *related, *namespace]


def _finding(answer: Answer, snapshot: Snapshot, known: tuple[Evidence, ...], verdict: Verdict) -> Finding:
    cause = Cause(
        name=answer.cause,
        summary=plain(answer.summary, ADVICE_LIMIT),
        confidence=round(answer.confidence, 2) if verdict is Verdict.CAUSE_FOUND else 0.0,
        evidence=known,
        factors=tuple(plain(each) for each in answer.factors[:10]),
    )
    return Finding(
        verdict=verdict,
        investigator=NAME,
        target=snapshot.target,
        cause=cause,
        advice=plain(answer.advice, ADVICE_LIMIT),
        alternatives=tuple(Alternative(plain(each.cause, 80), plain(each.why_not) or "not said") for each in answer.alternatives[:10]),
        looked_at=snapshot.seen(),
    )
