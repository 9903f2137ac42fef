"""Following leads: when the cause of what the subject shows lies in another workload, that one's cause is the subject's too."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kubernaut.analysis.containers import pod_ready
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, sure
from kubernaut.analysis.investigators.rules.services import felt, spoken_of
from kubernaut.analysis.leads import labels_of, matches, selector_of
from kubernaut.analysis.snapshot import Lead, Snapshot, Through

Found = list[tuple[Rule, Candidate]]
_SURE_ENOUGH = 0.6
_DOUBT = {Through.STANDS_FOR: -0.01, Through.CALLS: -0.02, Through.ADMITS: -0.01, Through.RESOLVES: -0.01}
_WELL_DOUBT = -0.12
"""Where the subject itself shows nothing: its alert may be about something else."""
_WORDS = {
    Through.STANDS_FOR: "the workload behind it",
    Through.CALLS: "what it calls; none of the pods there is ready",
    Through.ADMITS: "the workload that answers the webhook; none of its pods is ready",
    Through.RESOLVES: "what resolves names for it; none of the pods there is ready",
}
_EXPLAINED = {
    Through.STANDS_FOR: frozenset[str](),
    Through.CALLS: SYMPTOMS,
    Through.ADMITS: frozenset({"WebhookFailing"}),
    Through.RESOLVES: SYMPTOMS | {"ServiceNotFound"},
}


def followed(snapshot: Snapshot, own: Found, best_of: Callable[[Snapshot], Candidate | None]) -> Found:
    """Return the causes that leads bring, each with the rule that says which of the subject's own causes it explains."""
    return [row for lead in snapshot.leads for row in _one(snapshot, own, lead, best_of)]


def _one(snapshot: Snapshot, own: Found, lead: Lead, best_of: Callable[[Snapshot], Candidate | None]) -> Iterator[tuple[Rule, Candidate]]:
    if lead.snapshot is None or not _counts(snapshot, own, lead):
        return
    theirs = best_of(lead.snapshot)
    if theirs is None or theirs.confidence < _SURE_ENOUGH:
        return
    explained = _EXPLAINED[lead.through]
    shown = lead.through is not Through.CALLS or any(one.cause in SYMPTOMS for _, one in own) or felt(snapshot, lead)
    said = Evidence(lead.source, lead.field, lead.value, _WORDS[lead.through])
    candidate = replace(
        theirs,
        summary=f"{snapshot.target.path()}: {theirs.summary}" if lead.through is not Through.STANDS_FOR else theirs.summary,
        confidence=sure(theirs.confidence, _DOUBT[lead.through] if shown else _WELL_DOUBT),
        evidence=(said, *theirs.evidence),
        subjects=frozenset(),
        far=lead.through is not Through.STANDS_FOR,
    )
    yield Rule(theirs.cause, lambda _: None, explains=explained), candidate


def _counts(snapshot: Snapshot, own: Found, lead: Lead) -> bool:
    """Tell whether what is wrong there can be felt here: nobody answers, and the subject has no cause of its own."""
    if lead.through is Through.STANDS_FOR:
        return True
    if lead.through is Through.CALLS and any(one.cause not in SYMPTOMS for _, one in own):
        return False
    return not _answers(lead) or (felt(snapshot, lead) and spoken_of(snapshot, lead))


def _answers(lead: Lead) -> bool:
    """Tell whether a ready pod is behind the Service of a lead."""
    selector = selector_of(lead.service) if lead.service else None
    return any(matches(selector, labels_of(pod)) and pod_ready(pod) for pod in (lead.snapshot.of("Pod") if lead.snapshot else ()))


def explained_by(candidate: Candidate, found: Sequence[tuple[Rule, Candidate]]) -> str:
    """Return the cause that a candidate is a consequence of; empty when it stands by itself.

    What the subject shows never explains what is wrong elsewhere.
    """
    others = ((rule, one) for rule, one in found if one is not candidate and (one.far or not candidate.far))
    causes = (one for rule, one in others if candidate.cause in rule.explains and one.touches(candidate))
    return min((one.cause for one in causes), default="")
