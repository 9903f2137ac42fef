"""An embedded Kubernetes API of one process, for trying, testing and rehearsing: what kube-apiserver answers, over SQLite, with no other part of kubernaut.

Way of a request: `app` (HTTP) -> `authn`, `rbac` -> `registry` (decode, default, admit, validate) -> `store` (a log of revisions) -> `watching`.
Code inside the process speaks `api.Api` instead of HTTP and meets the same registry.
"""

from kubernaut.localcluster.server import ClusterSettings, LocalCluster

__all__ = ["ClusterSettings", "LocalCluster"]
