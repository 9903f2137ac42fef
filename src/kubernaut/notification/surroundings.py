"""What surrounds a message: the other messages of its case, the case itself, the question it is about. Read from the caches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import ValidationError

from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Obj, Resource
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.remediation import TERMINAL, RemediationRequest
from kubernaut.kube.informer import Key, key_of
from kubernaut.kube.manager import Manager

CASE: Final = "case"
"""Files messages under their remediation."""
PROBLEM: Final = "problem"
"""Files remediations under what they are about."""
QUESTION: Final = "aiApprovalRequest"
"""The metadata of a message that names the question it is about."""

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What may matter to a message besides itself."""

    siblings: Sequence[NotificationRequest] = ()
    """The other messages of its case."""
    case: RemediationRequest | None = None
    later: Sequence[RemediationRequest] = ()
    """Later remediations of the same problem."""
    question: AIApprovalRequest | None = None


class Lookout:
    """Finds what surrounds a message, and which messages a change may matter to."""

    def __init__(self, manager: Manager) -> None:
        self._cluster = manager.cluster
        manager.informer(NotificationRequest, indexes={CASE: _case_of})
        manager.informer(RemediationRequest, indexes={PROBLEM: _problem_of})
        manager.informer(AIApprovalRequest)

    def around(self, request: NotificationRequest) -> Surroundings:
        """Return what surrounds a message."""
        ref = request.spec.remediation_request_ref
        if ref is None:
            return Surroundings()
        namespace = request.metadata.namespace
        found = self._filed(NotificationRequest, CASE, f"{namespace}/{ref.name}")
        siblings = [each for each in found if each.metadata.name != request.metadata.name]
        case = self._one(RemediationRequest, namespace, ref.name)
        question = self._one(AIApprovalRequest, namespace, request.spec.metadata.get(QUESTION, ""))
        return Surroundings(siblings, case, self._later(case), question)

    def of_message(self, obj: Obj) -> Iterable[Key]:
        """Return the other messages of a message's case: one that was delivered lets the next go."""
        return [key for value in _case_of(obj) for key in self._messages(value) if key != key_of(obj)]

    def of_case(self, obj: Obj) -> Iterable[Key]:
        """Return the messages about a remediation's problem, once it has ended: they may be closed."""
        if str((obj.get("status") or {}).get("overallPhase", "")) not in TERMINAL:
            return
        for value in _problem_of(obj):
            for each in self._cluster.select(RemediationRequest.card, PROBLEM, value):
                yield from self._messages("/".join(key_of(each)))

    def of_question(self, obj: Obj) -> Iterable[Key]:
        """Return the messages of a question's case."""
        name = (obj["spec"].get("remediationRequestRef") or {}).get("name", "")
        return self._messages(f"{key_of(obj).namespace}/{name}")

    def _messages(self, case: str) -> list[Key]:
        return [key_of(each) for each in self._cluster.select(NotificationRequest.card, CASE, case)]

    def _later(self, case: RemediationRequest | None) -> list[RemediationRequest]:
        if case is None or case.metadata.creation_timestamp is None:
            return []
        began = case.metadata.creation_timestamp
        found = self._filed(RemediationRequest, PROBLEM, case.spec.signal_fingerprint)
        return [each for each in found if each.metadata.creation_timestamp and each.metadata.creation_timestamp > began]

    def _one(self, model: type[R], namespace: str, name: str) -> R | None:
        obj = self._cluster.read(model.card, namespace, name) if name else None
        return next(self._readable(model, [obj]), None) if obj is not None else None

    def _filed(self, model: type[R], index: str, value: str) -> Iterator[R]:
        return self._readable(model, self._cluster.select(model.card, index, value))

    def _readable(self, model: type[R], objects: Iterable[Obj]) -> Iterator[R]:
        """Yield the objects that can be read; those that cannot are told of by their own controllers."""
        for obj in objects:
            try:
                yield self._cluster.shared(model, obj)
            except ValidationError:
                continue


def stand_of_message(obj: Obj) -> object:
    """Return what matters of a message to the others of its case: whether it is delivered, and goes."""
    status = obj.get("status") or {}
    return status.get("completionTime"), status.get("deliveryAttempts"), obj["metadata"].get("deletionTimestamp")


def stand_of_case(obj: Obj) -> object:
    """Return what matters of a remediation to the messages about its problem: how it ended, and whether the alert did."""
    status = obj.get("status") or {}
    told = [status.get(name) for name in ("overallPhase", "outcome", "message", "signalState")]
    return told, obj["metadata"].get("deletionTimestamp")


def stand_of_question(obj: Obj) -> object:
    """Return what matters of a question to the messages of its case: the answer, or that it no longer counts."""
    status = obj.get("status") or {}
    told = [status.get(name) for name in ("decision", "decidedBy", "decisionMessage", "voidedAt", "voidReason")]
    return told, obj["metadata"].get("deletionTimestamp")


def _case_of(obj: Obj) -> Iterable[str]:
    name = (obj["spec"].get("remediationRequestRef") or {}).get("name")
    return (f"{key_of(obj).namespace}/{name}",) if name else ()


def _problem_of(obj: Obj) -> Iterable[str]:
    fingerprint = obj["spec"].get("signalFingerprint")
    return (fingerprint,) if fingerprint else ()
