"""An embedded Kubernetes API of one process, for trying, testing and rehearsing: what kube-apiserver answers, over SQLite.

Way of a request: `app` (HTTP) -> `authn`, `rbac` -> `resources` -> `writing`, `patching` -> `registry` (default, admit, validate)
-> `store` (a log of revisions) -> `watching`. Code inside the process speaks `api.Api` instead of HTTP and meets the same registry. What a
kind is stands in `kinds`, `schemas` and `printers`; what else a cluster does, in `controllers` and `pipelines`. It imports nothing else of
kubernaut.
"""

from kubernaut.localcluster.server import ClusterSettings, LocalCluster

__all__ = ["ClusterSettings", "LocalCluster"]
