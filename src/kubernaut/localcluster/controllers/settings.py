"""What the stand-ins are told from outside: the time, the pace, the scenario."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from kubernaut.localcluster.controllers.scenario import LiveScenario
from kubernaut.localcluster.podlogs import PodLogs

__all__ = ["QUICK", "REAL", "Pace", "StandInSettings"]


@dataclass(frozen=True)
class Pace:
    """How long the simulated machinery takes, in seconds."""

    sandbox: float = 0.8
    """From binding to the pod's network."""
    image_pull: float = 1.5
    """For an image that the node does not have."""
    start: float = 0.2
    """From created to started."""
    stop: float = 0.3
    """For a container that is asked to stop."""
    back_off: float = 10.0
    """First delay of a container that keeps failing; doubles."""
    back_off_cap: float = 300.0
    probe: float = 1.0
    """Factor on the delays and periods of probes."""
    node_grace: float = 300.0
    """Until pods are evicted from a node that is not ready, where their tolerations do not say."""


REAL = Pace()
QUICK = Pace(sandbox=0.05, image_pull=0.1, start=0.05, stop=0.05, back_off=0.5, back_off_cap=8.0, probe=0.1, node_grace=30.0)
"""For demonstrations and rehearsals: a pod is ready in a third of a second."""


@dataclass(frozen=True)
class StandInSettings:
    """Everything stand-ins need beside the API."""

    clock: Callable[[], datetime]
    rng: random.Random
    scenario: LiveScenario = field(default_factory=LiveScenario)
    pace: Pace = REAL
    ca_certificate: str = ""
    """PEM text for kube-root-ca.crt."""
    logs: PodLogs | None = None
    """Where the pod simulator publishes what containers write."""
