"""A person cancels a case under their own name: what has not begun is withdrawn, what is at work is stopped."""

from kubernaut.api.base import CANCEL_ANNOTATION, Unusable
from kubernaut.api.remediation import RemediationRequest
from kubernaut.cli.approving import whoami
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError


class CannotCancel(Unusable):
    """There is nothing to be cancelled; the message says why."""


async def cancel(client: Client, namespace: str, name: str, reason: str) -> str:
    """Cancel a case, signed with our own user name; return what was put on record. Raise CannotCancel."""
    if not reason.strip():
        raise CannotCancel("say why, for the record: --reason '…'")
    request = await _open(client, namespace, name)
    said = f"{await whoami(client)}: {' '.join(reason.split())}"
    body = {"metadata": {"uid": request.metadata.uid, "annotations": {CANCEL_ANNOTATION: said}}}
    await client.patch(RemediationRequest.card, name, namespace, body)
    return said


async def _open(client: Client, namespace: str, name: str) -> RemediationRequest:
    """Return a case that has not ended and that nobody has cancelled."""
    try:
        request = RemediationRequest.model_validate(await client.get(RemediationRequest.card, name, namespace))
    except ApiError as fault:
        if fault.not_found:
            raise CannotCancel(f"there is no case {name!r} in {namespace}; kubernaut get lists them") from fault
        raise
    if request.status.completion_time is not None:
        raise CannotCancel(f"{name} has ended: {request.status.overall_phase.value}. {request.status.message}".strip())
    if said := request.metadata.annotations.get(CANCEL_ANNOTATION):
        raise CannotCancel(f"{name} is being cancelled already: {said}")
    return request
