"""The rule investigator: asks every rule, follows leads, tells causes from their consequences, and says so when it does not know."""

from collections.abc import Sequence
from dataclasses import replace

from kubernaut.analysis.investigators.base import Alternative, Cause, Evidence, Finding, Question, Verdict
from kubernaut.analysis.investigators.rules.complaints import heard, logged, murmuring, quoted
from kubernaut.analysis.investigators.rules.following import Found, explained_by, followed
from kubernaut.analysis.investigators.rules.health import health
from kubernaut.analysis.investigators.rules.judging import Candidate, Rule, evidence, sure, weighed
from kubernaut.analysis.investigators.rules.registry import ALL
from kubernaut.analysis.snapshot import Snapshot, Through
from kubernaut.api.analysis import PreviousExecution
from kubernaut.kube.informer import controller_owner

NAME = "rules"
_SURE_OF_HEALTH = 0.9
_TRIED_WEIGHT = -0.2
_CHANGING = ("Increase", "Rollback", "Relax", "Fix", "Scale")
"""How the actions begin that change a workload's spec."""
_FIXING = frozenset({"recovery-analysis", "workflowselection"})
"""Analysis types that ask for a fix, in the words of all ages."""


class RuleInvestigator:
    """Answers from rules alone: no model, no network, the same answer every time."""

    def __init__(self, rules: Sequence[Rule] = ALL) -> None:
        self._rules = tuple(rules)

    @property
    def name(self) -> str:
        """How it signs."""
        return NAME

    async def investigate(self, question: Question, snapshot: Snapshot) -> Finding:
        """Answer from the snapshot; what the alert says of causes is not looked at, what its scope asks for is kept to."""
        request = question.request
        past = question.tried if request.investigation_scope.include_historical_patterns else ()
        finding = _remembered(judge(snapshot, self._rules), past)
        wanted = {name.casefold() for name in request.analysis_types}
        return finding if wanted & _FIXING else replace(finding, action="")


def judge(snapshot: Snapshot, rules: Sequence[Rule] = ALL) -> Finding:
    """Return the cause that explains most, or that nothing is to be done, or that we do not know."""
    found = _found(snapshot, rules)
    best = _best(found)
    if best is None:
        return _without_cause(snapshot, len(rules))
    others = tuple(_lost(one, best, found) for _, one in sorted(found, key=lambda row: _order(row[1])) if one is not best)
    return _caused(snapshot, heard(snapshot, best), others)


def _found(snapshot: Snapshot, rules: Sequence[Rule]) -> Found:
    own = [(rule, weighed(snapshot, _kept(snapshot, candidate))) for rule in rules if (candidate := rule.judge(snapshot)) is not None]

    def best_of(other: Snapshot) -> Candidate | None:
        return _best(_found(other, rules))

    return own + followed(snapshot, own, best_of)


def _kept(snapshot: Snapshot, candidate: Candidate) -> Candidate:
    """Return a candidate without the change of a spec that is not its own: what makes the object would take the change back."""
    maker = controller_owner(snapshot.top) if snapshot.top else {}
    if not maker or candidate.target != snapshot.target or not candidate.action.startswith(_CHANGING):
        return candidate
    name = f"{maker.get('kind')} {maker.get('name')}"
    advice = f"{name} makes {snapshot.target.path()} and would take a change of it back: change {name}. {candidate.advice}".strip()
    return replace(candidate, action="", advice=advice)


def _best(found: Found) -> Candidate | None:
    roots = [one for _, one in found if not explained_by(one, found)]
    return min(roots or [one for _, one in found], key=_order, default=None)


def _order(candidate: Candidate) -> tuple[float, str, str]:
    """The surer, then the earlier, then by name."""
    return -candidate.confidence, candidate.since.isoformat() if candidate.since else "9", candidate.cause


def _lost(candidate: Candidate, best: Candidate, found: Found) -> Alternative:
    if by := explained_by(candidate, found):
        return Alternative(candidate.cause, f"a consequence of {by}: {candidate.summary}")
    return Alternative(candidate.cause, f"less certain ({candidate.confidence:.2f} against {best.confidence:.2f}): {candidate.summary}")


def _caused(snapshot: Snapshot, best: Candidate, others: tuple[Alternative, ...]) -> Finding:
    cause = Cause(name=best.cause, summary=best.summary, confidence=best.confidence, evidence=best.evidence, factors=best.factors)
    return Finding(
        verdict=Verdict.CAUSE_FOUND,
        investigator=NAME,
        target=best.target,
        cause=cause,
        action=best.action,
        advice=best.advice,
        facts=best.facts,
        alternatives=others,
        warnings=_warnings(snapshot),
        looked_at=snapshot.seen(),
    )


def _remembered(finding: Finding, past: Sequence[PreviousExecution]) -> Finding:
    """Doubt a cause whose fix was tried in this case, with the same parameters, and did not help."""
    values = set(finding.facts.values())
    tried = [row for row in past if row.parameters and set(row.parameters.values()) <= values]
    if not tried or finding.verdict is not Verdict.CAUSE_FOUND:
        return finding
    factor = f"speaks against it: {tried[0].workflow_id or tried[0].failed_step} was tried for this and did not help"
    cause = replace(finding.cause, confidence=sure(finding.cause.confidence, _TRIED_WEIGHT), factors=(*finding.cause.factors, factor))
    return replace(finding, cause=cause)


def _without_cause(snapshot: Snapshot, tried: int) -> Finding:
    state = health(snapshot)
    looked = ", ".join(snapshot.seen()) or "nothing"
    behind = (lead.snapshot for lead in snapshot.leads if lead.snapshot and lead.through is Through.STANDS_FOR)
    troubled = [logged(container, lines[-1]) for each in (snapshot, *behind) for container, lines in murmuring(each)][:2]
    if state.well and not troubled:
        summary = f"{snapshot.target.path()} is healthy: {state.evidence[0].says}. No action is needed."
        cause = Cause(name="Healthy", summary=summary, confidence=_SURE_OF_HEALTH, evidence=state.evidence)
        return _ended(snapshot, Verdict.NO_ACTION, cause)
    there = "" if snapshot.chain else f" {snapshot.subject.path()} does not exist, and no owner of it is known."
    there = " Its pods are ready, and its log is full of errors." if state.well else there
    summary = f"I don't know what is wrong with {snapshot.subject.path()}.{there} None of {tried} rules found a cause in {looked}."
    return _ended(
        snapshot,
        Verdict.INCONCLUSIVE,
        Cause(name="Unknown", summary=summary, confidence=0.0, evidence=(*_standing(snapshot), *quoted(snapshot))),
    )


def _ended(snapshot: Snapshot, verdict: Verdict, cause: Cause) -> Finding:
    warnings, seen = _warnings(snapshot), snapshot.seen()
    return Finding(verdict=verdict, investigator=NAME, target=snapshot.target, cause=cause, warnings=warnings, looked_at=seen)


def _standing(snapshot: Snapshot) -> tuple[Evidence, ...]:
    """Return what a person would look at first: the newest warnings."""
    warnings = [event for event in snapshot.events if event.get("type") == "Warning"][:5]
    return tuple(evidence(event, "message", event.get("message", ""), "reported lately; no rule knows it") for event in warnings)


def _warnings(snapshot: Snapshot) -> tuple[str, ...]:
    unread = tuple(f"{kind} could not be read" for kind in snapshot.unread)
    return unread + tuple(f"there are more {kind} objects than were looked at" for kind in snapshot.cut)
