"""Takes snapshots from the caches: what an analysis asks about, as far back and as wide as its scope allows."""

from datetime import datetime, timedelta
from typing import Final

from kubernaut.analysis.logs import Logs
from kubernaut.analysis.reading import BY_NAMESPACE, LIMITS, NEEDED, OWNERS, Reader, indexes, last_seen
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.analysis.taking import DEPTH, Taking
from kubernaut.api import core
from kubernaut.api.analysis import AlertContext, AnalysisRequest, ScopeItem
from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.durations import parse_duration
from kubernaut.kube.cluster import Cluster

__all__ = ["BY_NAMESPACE", "LIMITS", "NEEDED", "OWNERS", "Collector", "indexes", "last_seen"]
DEFAULT_WINDOW: Final = timedelta(hours=24)
NO_LOGS: Final = Logs()


class Collector:
    """Takes snapshots of a cluster."""

    def __init__(self, cluster: Cluster, *, window_limit: timedelta) -> None:
        self._cluster = cluster
        self._window_limit = window_limit

    def subjects(self, request: AnalysisRequest) -> list[ResourceIdentifier]:
        """Return what to look at: the resources of the scope, else the signal's own."""
        alert = request.alert_context
        items = request.investigation_scope.resource_scope or [_item(alert)]
        return [_identifier(item) for item in items]

    def collect(self, request: AnalysisRequest, subject: ResourceIdentifier, now: datetime, logs: Logs = NO_LOGS) -> Snapshot:
        """Return the cluster around a subject, as far back and as wide as the scope allows, with the logs that were read."""
        scope = request.investigation_scope
        wide = scope.correlation_depth.casefold() != "basic"
        taking = Taking(Reader(self._cluster), now, now - self._window(scope.time_window), wide=wide, logs=logs)
        return taking.snapshot(subject, request.alert_context, DEPTH if wide else 0)

    def pods_of(self, target: ResourceIdentifier) -> list[Obj]:
        """Return the pods that an object has made, or is."""
        reader = Reader(self._cluster)
        obj = reader.named(target.kind, target.namespace, target.name)
        return reader.made_by([obj])[1] if obj else []

    def _window(self, text: str) -> timedelta:
        try:
            return min(parse_duration(text), self._window_limit)
        except ValueError:
            return DEFAULT_WINDOW


def _item(alert: AlertContext) -> ScopeItem:
    return ScopeItem(kind=alert.resource_kind, namespace=alert.namespace, name=alert.resource_name)


def _identifier(item: ScopeItem) -> ResourceIdentifier:
    card = core.kind_named(item.kind)
    kind = card.kind if card else item.kind[:1].upper() + item.kind[1:]
    namespace = item.namespace if card is None or card.namespaced else ""
    return ResourceIdentifier(kind=kind, name=item.name, namespace=namespace, api_version=card.api_version if card else "")
