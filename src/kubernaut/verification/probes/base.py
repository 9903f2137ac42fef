"""What a probe is."""

from collections.abc import Mapping
from typing import Protocol

from kubernaut.api.base import Kind, Resource
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import IndexFn
from kubernaut.verification.decide import Component, Reading


class Probe(Protocol):
    """Looks at one thing: in caches, or by a question whose answer is waited for no longer than the settings say."""

    component: Component

    def reads(self) -> Mapping[Kind | type[Resource], Mapping[str, IndexFn]]:
        """Return the kinds that are read, with the indexes needed."""
        ...

    async def look(self, cluster: Cluster, assessment: EffectivenessAssessment) -> Reading | None:
        """Say how the thing stands now, whatever fails; None where there is nothing of the kind to look at."""
        ...
