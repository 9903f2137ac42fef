"""What keeps a process from reading a cluster, told once: dozens of informers meet the same fault, and each again with every try."""

from typing import Final

import structlog

from kubernaut.api.base import Kind
from kubernaut.kube.errors import ApiError

OF_ALL: Final = frozenset({0, 401})
"""Statuses that are no fault of a kind: nobody answers, or we are not known."""
NOT_SERVED: Final = "kind is not served: taken for none until it is"
NOT_READ: Final = "the cluster cannot be read, it is tried until it can"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Trouble:
    """The faults that informers meet, each told when it is new; what stands is told of at level debug."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        """Kind (empty: all of them) to the fault that was told."""

    def met(self, kind: Kind, fault: ApiError, *, listing: bool) -> None:
        """Hear why a list or a watch did not work out."""
        about, what = "" if fault.status in OF_ALL else kind.kind, f"{fault.status} {fault.reason}"
        event = NOT_SERVED if fault.not_found else NOT_READ if listing else "watch interrupted"
        tell = log.debug if self._told.get(about) == what else log.warning if listing else log.info
        self._told[about] = what
        tell(event, kind=kind.kind, api_version=kind.api_version, fault=str(fault)[:500])

    def over(self, kind: Kind) -> None:
        """Hear that a kind could be read."""
        if self._told.pop("", ""):
            log.info("the cluster is read again", kind=kind.kind)
        self._told.pop(kind.kind, "")
