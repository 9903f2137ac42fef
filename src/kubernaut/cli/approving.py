"""The questions that wait for a person, and who that person is, for the commands that answer them."""

from kubernaut.api.approval import AIApprovalRequest
from kubernaut.approving import TRIES, CannotDecide, answer, is_open, must_be_open
from kubernaut.kube.client import Client
from kubernaut.kube.reviews import person

__all__ = ["TRIES", "CannotDecide", "answer", "find_request", "is_open", "must_be_open", "waiting", "whoami"]


async def whoami(client: Client) -> str:
    """Return the user name that the API server knows us by."""
    return (await person(client)).name


async def waiting(client: Client, namespace: str) -> list[AIApprovalRequest]:
    """Return the requests that wait for an answer, the most urgent first."""
    found = [AIApprovalRequest.model_validate(obj) for obj in (await client.list(AIApprovalRequest.card, namespace)).items]
    return sorted((each for each in found if is_open(each)), key=lambda each: each.spec.required_by)


async def find_request(client: Client, namespace: str, name: str) -> AIApprovalRequest:
    """Return an approval request by its own name or its remediation's; the one still open, if there are several. Raise CannotDecide."""
    found = await client.list(AIApprovalRequest.card, namespace)
    requests = [AIApprovalRequest.model_validate(obj) for obj in found.items]
    meant = [each for each in requests if name in (each.metadata.name, each.spec.remediation_request_ref.name)]
    if not meant:
        open_ = ", ".join(each.metadata.name for each in requests if is_open(each)) or "none"
        raise CannotDecide(f"no approval request or remediation is called {name!r} in {namespace}; waiting for an answer: {open_}")
    return next((each for each in meant if is_open(each)), meant[-1])
