"""What a probe is."""

from collections.abc import Mapping
from typing import Protocol

from kubernaut.api.base import Kind, Resource
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import IndexFn
from kubernaut.verification.decide import Component, Reading


class Probe(Protocol):
    """Looks at one thing; from caches only, so that looking often costs nothing."""

    component: Component

    def reads(self) -> Mapping[Kind | type[Resource], Mapping[str, IndexFn]]:
        """Return the kinds that are read, with the indexes needed."""
        ...

    def look(self, cluster: Cluster, assessment: EffectivenessAssessment) -> Reading:
        """Say how the thing stands now."""
        ...
