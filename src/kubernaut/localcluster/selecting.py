"""Selectors of a list or watch, and which fields each kind can be selected by."""

from collections.abc import Callable, Mapping

from kubernaut.localcluster import errors, faces
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.selectors import SelectorError, field_equalities, field_selector, label_selector
from kubernaut.localcluster.store import Record

_META = ("metadata.name", "metadata.namespace")
_EVENT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_BY_KIND: Mapping[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase",
        "status.podIP", "status.podIPs", "status.nominatedNodeName",
    ),
    "events": (*(f"involvedObject.{name}" for name in _EVENT), "reason", "reportingComponent", "source", "type"),
    "events.events.k8s.io": (*(f"regarding.{name}" for name in _EVENT), "reason", "reportingController", "type"),
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "secrets": ("type",),
    "services": ("spec.clusterIP", "spec.type"),
    "replicasets.apps": ("status.replicas",),
    "jobs.batch": ("status.successful",),
}  # fmt: skip


def selectable(kind: ResourceKind) -> tuple[str, ...]:
    """Return the field paths a kind can be selected by."""
    if kind.definition is not None:
        return _META + tuple(row["jsonPath"].lstrip(".") for row in kind.definition.get("selectableFields") or ())
    return _META + _BY_KIND.get(kind.resource, ())


class Selection:
    """What a list or watch lets through."""

    def __init__(self, kind: ResourceKind, labels: str = "", fields: str = "") -> None:
        """Read the selectors; raise ApiError 400 for one that cannot be read."""
        self._kind = kind
        self.empty = not labels and not fields
        self.name = ""
        try:
            self._labels: Callable[[Mapping[str, str]], bool] | None = label_selector(labels) if labels else None
            self._fields: Callable[[Obj], bool] | None = field_selector(fields, selectable(kind)) if fields else None
            if fields:
                self.name = field_equalities(fields).get("metadata.name", "")
        except SelectorError as error:
            raise errors.bad_request(_words(kind, str(error))) from error

    def __call__(self, record: Record) -> bool:
        """Say whether an object is selected."""
        if self.empty:
            return True
        obj = faces.shown(self._kind, record)
        if self._labels and not self._labels(obj["metadata"].get("labels") or {}):
            return False
        return self._fields is None or self._fields(obj)


def _words(kind: ResourceKind, told: str) -> str:
    """Say that a field is not known as kinds without fields of their own do."""
    field = told.removeprefix("field label not supported: ")
    if field == told or kind.custom or kind.resource in _BY_KIND:
        return told
    return f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
