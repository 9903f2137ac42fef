"""A person decides: the answer to an AIApprovalRequest, under the person's own name."""

from datetime import datetime

from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.base import Obj
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError

VIA = "console"
TRIES = 5
"""How often a decision is written anew when something else about the request changed meanwhile; what is asked never changes."""


class CannotDecide(Exception):  # noqa: N818  (says what is so)
    """There is nothing to be decided; the message says why."""


async def whoami(client: Client) -> str:
    """Return the user name that the API server knows us by."""
    review = await client.create(core.SELF_SUBJECT_REVIEW, {"metadata": {}})
    return str(review["status"]["userInfo"]["username"])


async def find_request(client: Client, namespace: str, name: str) -> AIApprovalRequest:
    """Return an approval request by its own name or its remediation's; the one still open, if there are several. Raise CannotDecide."""
    found = await client.list(AIApprovalRequest.card, namespace)
    requests = [AIApprovalRequest.model_validate(obj) for obj in found.items]
    meant = [each for each in requests if name in (each.metadata.name, each.spec.remediation_request_ref.name)]
    if not meant:
        waiting = ", ".join(each.metadata.name for each in requests if each.status.decision is None) or "none"
        raise CannotDecide(f"no approval request or remediation is called {name!r} in {namespace}; waiting for an answer: {waiting}")
    return next((each for each in meant if each.status.decision is None), meant[-1])


async def answer(client: Client, request: AIApprovalRequest, decision: Decision, reason: str, now: datetime) -> AIApprovalRequest:
    """Write the decision under our own name; raise CannotDecide when it was made already."""
    who = await whoami(client)
    meta = request.metadata
    for _ in range(TRIES):
        status = request.status
        if status.decision is not None:
            raise CannotDecide(f"{meta.name} was {status.decision.value.lower()} by {status.decided_by}: a decision is final")
        body = {
            "metadata": {"resourceVersion": request.metadata.resource_version},
            "status": _decided(decision, who, reason, now),
        }
        try:
            stored = await client.patch(AIApprovalRequest.card, meta.name, meta.namespace, body, subresource="status")
        except ApiError as error:
            if not error.conflict:
                raise
        else:
            return AIApprovalRequest.model_validate(stored)
        request = AIApprovalRequest.model_validate(await client.get(AIApprovalRequest.card, meta.name, meta.namespace))
    raise CannotDecide(f"{meta.name} changes too fast to be answered: look again")


def _decided(decision: Decision, who: str, reason: str, now: datetime) -> Obj:
    said = f": {reason}" if reason else ""
    return {
        "phase": decision.value,
        "decision": decision.value,
        "decidedBy": who,
        "message": f"{decision.value.lower()} by {who}{said}",
        "decidedVia": VIA,
        "decidedAt": now.isoformat(),
        "decisionMessage": reason,
    }
