"""A person decides: the answer to an AIApprovalRequest under the person's own name, from wherever they give it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.base import Obj
from kubernaut.api.redact import redact
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.kube.reviews import Person, person

CONSOLE: Final = "console"
"""How the command line is called as a way to decide."""
TRIES: Final = 5
"""How often a decision is written anew when something else about the request changed meanwhile; what is asked never changes."""


class CannotDecide(Exception):  # noqa: N818  (says what is so)
    """There is nothing to be decided; the message says why."""


def is_open(request: AIApprovalRequest) -> bool:
    """Tell whether an answer is still waited for."""
    return request.status.decision is None and request.status.voided_at is None


def must_be_open(request: AIApprovalRequest, now: datetime) -> None:
    """Raise CannotDecide for a request that nobody can answer any more."""
    name, status, until = request.metadata.name, request.status, request.spec.required_by
    if status.decision is not None:
        raise CannotDecide(f"{name} was {status.decision.value.lower()} by {status.decided_by}: a decision is final")
    if status.voided_at is not None:
        why = status.void_reason or "What it was about changed."
        raise CannotDecide(f"{name} is void: {why} Look what is asked now: kubernaut approvals")
    if now >= until:
        raise CannotDecide(f"the time to answer {name} was up at {until:%Y-%m-%d %H:%M:%S} UTC: nobody answering is a no")


async def answer(
    client: Client, request: AIApprovalRequest, decision: Decision, reason: str, now: datetime, *, via: str = CONSOLE
) -> AIApprovalRequest:
    """Write our answer under our own name; raise CannotDecide when there is nothing to answer any more.

    It is the decision itself where one yes is enough, and for a no; else an entry that is counted. `via` is where it was given, as
    in `status.decidedVia`.
    """
    who, meta = await person(client), request.metadata
    for _ in range(TRIES):
        stored = await client.get(AIApprovalRequest.card, meta.name, meta.namespace)
        must_be_open(request := AIApprovalRequest.model_validate(stored), now)
        _not_twice(request, who)
        body = {
            "metadata": {"resourceVersion": stored["metadata"]["resourceVersion"]},
            "status": _said(stored, request, Said(decision, who, redact(reason), now, via)),
        }
        try:
            written = await client.patch(AIApprovalRequest.card, meta.name, meta.namespace, body, subresource="status")
        except ApiError as error:
            if error.forbidden:
                raise CannotDecide(_refusal(error, who)) from error
            if not error.conflict:
                raise
        else:
            return AIApprovalRequest.model_validate(written)
    raise CannotDecide(f"{meta.name} changes too fast to be answered: look again")


def _refusal(error: ApiError, who: Person) -> str:
    """Say why the API server took no answer of ours: the rule's own sentence, and who it takes us for."""
    why = error.message.rpartition("denied request: ")[2]
    return f"{why} (you are {who.name}, of {', '.join(who.groups) or 'no group'})"


def _not_twice(request: AIApprovalRequest, who: Person) -> None:
    own = next((each for each in request.status.approvals if each.approver == who.name), None)
    if own is not None:
        wanted, said = request.spec.policy_evaluation.min_approvers, own.decision.value.lower()
        raise CannotDecide(f"you ({who.name}) have said {said} to {request.metadata.name} already; it needs {wanted} different people")


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said."""

    decision: Decision
    who: Person
    reason: str
    at: datetime
    via: str


def _said(stored: Obj, request: AIApprovalRequest, said: Said) -> Obj:
    policy = request.spec.policy_evaluation
    entry = {
        "approver": said.who.name,
        "decision": said.decision.value,
        "at": said.at.isoformat(),
        "groups": [group for group in policy.approver_groups if group in said.who.groups],
        "via": said.via,
        "message": said.reason,
    }
    found = {"approvals": [*(stored.get("status") or {}).get("approvals", ()), {key: value for key, value in entry.items() if value}]}
    alone = said.decision is Decision.REJECTED or policy.min_approvers == 1
    return found | _decided(said) if alone else found


def _decided(said: Said) -> Obj:
    decision, who = said.decision.value, said.who.name
    return {
        "phase": decision,
        "decision": decision,
        "decidedBy": who,
        "message": f"{decision.lower()} by {who}{f': {said.reason}' if said.reason else ''}",
        "decidedVia": said.via,
        "decidedAt": said.at.isoformat(),
        "decisionMessage": said.reason,
    }
