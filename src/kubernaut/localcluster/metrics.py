"""What `/metrics` tells: requests by what they asked for and how they ended, watches under way, what is stored."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kubernaut.localcluster import negotiation, paths
from kubernaut.localcluster.catalog import Catalog
from kubernaut.localcluster.exchange import Asked
from kubernaut.localcluster.negotiation import Answer
from kubernaut.localcluster.parameters import Parameters
from kubernaut.localcluster.store import Store

_VERBS = {"create": "POST", "update": "PUT"}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts the requests of one cluster; names and labels are kube-apiserver's where it has them."""

    def __init__(self, catalog: Catalog, store: Store) -> None:
        """Start at nothing."""
        self._catalog = catalog
        self._registry = CollectorRegistry()
        self._registry.register(_Stored(store, catalog))
        labels = ("verb", "group", "version", "resource", "subresource", "code")
        self._requests = Counter("apiserver_request", "Requests answered.", labels, registry=self._registry)

    def count(self, asked: Asked, status: int) -> None:
        """Count a request as answered; of what is not served, the path is not told, so that nobody can make labels without end."""
        target = paths.parse(asked.path)
        kind = None if target is None else self._catalog.find(target.group, target.version, target.plural)
        if target is None or kind is None:
            method = asked.method if asked.method in _METHODS else "OTHER"
            self._requests.labels(method, "", "", "", "", str(status)).inc()
            return
        watch = not target.name and "watch" in asked.query and Parameters(asked.query).flag("watch")
        verb = paths.verb(asked.method, target, watch=watch)
        part = target.subresource if target.subresource in kind.subresources else ""
        self._requests.labels(_VERBS.get(verb, verb.upper()), kind.group, kind.version, kind.plural, part, str(status)).inc()

    def page(self) -> Answer:
        """Return all figures as Prometheus reads them."""
        return negotiation.Answer(200, generate_latest(self._registry), _CONTENT_TYPE)


class _Stored(Collector):
    """Looks into the store when asked."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the figures of now."""
        objects = GaugeMetricFamily("apiserver_storage_objects", "Objects stored.", labels=["resource"])
        watches = GaugeMetricFamily("localcluster_watches", "Watches under way, those of the stand-ins too.", labels=["resource"])
        for resource in sorted({kind.stored for kind in self._catalog if "list" in kind.verbs}):
            objects.add_metric([resource], self._store.count(resource))
            watches.add_metric([resource], len(self._store.followers(resource)))
        yield from (objects, watches)
        yield GaugeMetricFamily("localcluster_revision", "The newest resourceVersion given.", value=self._store.revision)
