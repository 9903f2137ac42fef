"""The rows and columns of `kubectl get` for the built-in kinds, as kube-apiserver prints them."""

from collections.abc import Mapping

from kubernaut.localcluster.printers import cluster, network, pods, policy, workloads
from kubernaut.localcluster.printers.base import Printer

PRINTERS: Mapping[str, Printer] = {**pods.PRINTERS, **workloads.PRINTERS, **cluster.PRINTERS, **network.PRINTERS, **policy.PRINTERS}
"""Printers by resource (`deployments.apps`)."""
