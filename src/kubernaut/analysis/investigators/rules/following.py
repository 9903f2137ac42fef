"""Following leads: when the cause of what the subject shows lies in another workload, that one's cause is the subject's too."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kubernaut.analysis.containers import pod_ready
from kubernaut.analysis.hints import SAID
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, sure
from kubernaut.analysis.investigators.rules.services import complains, felt, spoken_of, unwell
from kubernaut.analysis.leads import labels_of, matches, selector_of
from kubernaut.analysis.snapshot import Lead, Snapshot, Through

Found = list[tuple[Rule, Candidate]]
_SURE_ENOUGH = 0.6
_DOUBT = {Through.STANDS_FOR: -0.01, Through.CALLS: -0.02, Through.ADMITS: -0.01, Through.RESOLVES: -0.01, Through.CONTROLS: -0.01}
_WELL_DOUBT = -0.06
"""Where the subject itself shows nothing: its alert may be about something else."""
_WORDS_ONLY = 0.78
"""Below what is done without a person."""
_FILE_DOUBT = -0.06
"""Where a word in a mounted file leads there, and the subject neither shows nor writes that it misses anything."""
_FAR_DOUBT = -0.04
"""Where what the subject calls serves, and only complains itself."""
FELT = frozenset(
    {
        "ConfigurationInvalid",
        "CredentialsRejected",
        "DNSPolicyWrong",
        "DatabaseSchemaMismatch",
        "DependencyUnreachable",
        "HostAliasWrong",
        "NetworkPolicyBlocks",
        "NetworkPolicyBlocksDNS",
        "NetworkPolicyBlocksEgress",
        "NoLocalEndpoint",
        "PermissionMissing",
        "PodsAltered",
        "ServiceNotFound",
        "ServicePortNotOffered",
        "ServicePortWrong",
        "ServiceSelectsNothing",
        "TooManyOpenFiles",
    }
)
"""Causes that a workload has whose pods are all ready: it answers, and answers errors, which those who call it feel."""
_WORDS = {
    Through.STANDS_FOR: "the workload behind it",
    Through.CALLS: "what it calls: nobody answers there, or errors",
    Through.ADMITS: "the workload that answers the webhook; none of its pods is ready",
    Through.CONTROLS: "a part of Kubernetes that it depends on, and that is not ready",
    Through.RESOLVES: "what resolves names for it; none of the pods there is ready",
}
_EXPLAINED = {
    Through.STANDS_FOR: frozenset[str](),
    Through.CALLS: SYMPTOMS,
    Through.ADMITS: frozenset({"WebhookFailing"}),
    Through.CONTROLS: SYMPTOMS,
    Through.RESOLVES: SYMPTOMS | {"ServiceNotFound"},
}


def followed(snapshot: Snapshot, own: Found, best_of: Callable[[Snapshot], Candidate | None]) -> Found:
    """Return the causes that leads bring, each with the rule that says which of the subject's own causes it explains."""
    return [row for lead in snapshot.leads for row in _one(snapshot, own, lead, best_of)]


def _one(snapshot: Snapshot, own: Found, lead: Lead, best_of: Callable[[Snapshot], Candidate | None]) -> Iterator[tuple[Rule, Candidate]]:
    if lead.snapshot is None or not _counts(own, lead):
        return
    theirs = best_of(lead.snapshot)
    if theirs is None or theirs.confidence < _SURE_ENOUGH or not (_silent(snapshot, lead) or _felt(lead.snapshot, theirs)):
        return
    explained = _EXPLAINED[lead.through]
    shown = lead.through is not Through.CALLS or any(one.cause in SYMPTOMS for _, one in own) or felt(snapshot, lead)
    said = Evidence(lead.source, lead.field, lead.value, _WORDS[lead.through])
    candidate = replace(
        theirs,
        summary=f"{snapshot.target.path()}: {theirs.summary}" if lead.through is not Through.STANDS_FOR else theirs.summary,
        confidence=sure(theirs.confidence, *_doubts(snapshot, lead, shown=shown)),
        evidence=(said, *theirs.evidence),
        subjects=frozenset(),
        far=lead.through is not Through.STANDS_FOR,
    )
    yield Rule(theirs.cause, lambda _: None, explains=explained), _asked_for(lead, candidate)


def _asked_for(lead: Lead, candidate: Candidate) -> Candidate:
    """Return a cause so sure at most that a person decides, where only words in a log lead to it: others may have put them there."""
    if lead.field != SAID:
        return candidate
    factor = "only what the program wrote leads there; a person decides"
    return replace(candidate, confidence=min(candidate.confidence, _WORDS_ONLY), factors=(*candidate.factors, factor))


def _counts(own: Found, lead: Lead) -> bool:
    """Tell whether a cause elsewhere can be the subject's: what it calls only where it has no cause of its own."""
    return lead.through is not Through.CALLS or all(one.cause in SYMPTOMS for _, one in own)


def _silent(snapshot: Snapshot, lead: Lead) -> bool:
    """Tell whether nobody answers there, or the subject names it in its last words."""
    return lead.through is Through.STANDS_FOR or not _answers(lead) or (felt(snapshot, lead) and spoken_of(snapshot, lead))


def _felt(there: Snapshot, theirs: Candidate) -> bool:
    """Tell whether a cause can be felt by callers of a workload that answers: it lies behind it, or is one of those of ready pods."""
    return theirs.far or (theirs.cause in FELT and not unwell(there))


def _doubts(snapshot: Snapshot, lead: Lead, *, shown: bool) -> tuple[float, ...]:
    if not shown and complains(snapshot, lead):
        return (_DOUBT[lead.through], _WELL_DOUBT / 2)
    file = () if shown or ".volumes[" not in lead.field else (_FILE_DOUBT,)
    return (_DOUBT[lead.through] if shown else _WELL_DOUBT, *file, *(() if _silent(snapshot, lead) else (_FAR_DOUBT,)))


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
