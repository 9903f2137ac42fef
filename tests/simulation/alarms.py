"""The alert source: what fires, repeats while it fires, and resolves, told to the gateway as Alertmanager would, until it is taken."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

import orjson

from kubernaut.api.base import Obj
from kubernaut.localcluster.api import Api
from tests.simulation.asgi import decoded
from tests.simulation.cluster import Target
from tests.simulation.replica import Process, SimulatedClock

NEVER = "0001-01-01T00:00:00Z"
NAMES = ("KubePodCrashLooping", "KubeContainerWaiting", "KubeDeploymentReplicasMismatch")
OK = 300


@dataclass
class Alarm:
    """One alert: it fires from some time on, repeats, and resolves when the workload is well or when it has fired long enough."""

    target: Target
    name: str
    begins: float
    patience: float
    """Seconds after which it resolves, whatever happens."""
    repeat: float


@dataclass
class Alarms:
    """Tells the gateways of all alarms; keeps which were taken."""

    api: Api
    """The store itself: whoever measures does not ask the API server."""
    clock: SimulatedClock
    gateways: list[Process]
    seed: int
    rng: random.Random = field(init=False)
    sent: Counter[str] = field(default_factory=Counter)
    """Firing alerts told, taken or not, by target."""
    on_taken: Callable[[Obj], None] = lambda _: None
    """Hears the gateway's entry for each alert that was answered 2xx."""

    def __post_init__(self) -> None:
        """Take up the seed."""
        self.rng = random.Random(f"alarms {self.seed}")

    async def play(self, alarm: Alarm) -> None:
        """Let an alarm fire and resolve."""
        await asyncio.sleep(alarm.begins)
        since, loop = self.clock.now(), asyncio.get_running_loop()
        ends = loop.time() + alarm.patience
        while True:
            await self._tell(alarm, since, "firing")
            if await self._calm(alarm, min(alarm.repeat, max(ends - loop.time(), 0))) or loop.time() >= ends:
                break
        await self._tell(alarm, since, "resolved")

    async def _calm(self, alarm: Alarm, seconds: float) -> bool:
        """Wait so long, or until the workload is well."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while loop.time() < ends:
            await asyncio.sleep(min(20.0, ends - loop.time()))
            found = await self.api.get(self.api.kind("apps", "deployments"), alarm.target.name, alarm.target.namespace)
            status = found.get("status") or {}
            if status.get("observedGeneration") == found["metadata"]["generation"] and status.get("readyReplicas"):
                return True
        return False

    async def _tell(self, alarm: Alarm, since: datetime, status: str) -> None:
        """Send a webhook until it is taken, like Alertmanager, each time to any of the gateways."""
        labels = await self._labels(alarm)
        while True:
            body = orjson.dumps(self._body(labels, since, status))
            self.sent[alarm.target.path] += status == "firing"
            code, text = await self.rng.choice(self.gateways).signal(body)
            if 0 < code < OK:
                self._took(decoded(text), alarm, status)
                return
            await asyncio.sleep(self.rng.uniform(2, 15))

    def _took(self, answer: Obj, alarm: Alarm, status: str) -> None:
        for entry in answer["results"]:
            self.on_taken({**entry, "target": alarm.target.path, "state": status})

    async def _labels(self, alarm: Alarm) -> dict[str, str]:
        target = alarm.target
        labels = {"alertname": alarm.name, "severity": "critical", "namespace": target.namespace}
        if alarm.name == "KubeDeploymentReplicasMismatch":
            return labels | {"deployment": target.name}
        pods = await self.api.list(self.api.kind("", "pods"), target.namespace, labels=f"app={target.name}")
        if not pods:
            return labels | {"deployment": target.name}
        return labels | {"pod": pods[-1]["metadata"]["name"], "container": "main"}

    def _body(self, labels: dict[str, str], since: datetime, status: str) -> Obj:
        group = {"alertname": labels["alertname"], "namespace": labels["namespace"]}
        alert = {
            "status": status,
            "labels": labels,
            "annotations": {"summary": "something is wrong"},
            "startsAt": since.isoformat().replace("+00:00", "Z"),
            "endsAt": self.clock.now().isoformat().replace("+00:00", "Z") if status == "resolved" else NEVER,
            "generatorURL": "http://prometheus.example.com:9090/graph",
            "fingerprint": sha256(repr(sorted(labels.items())).encode()).hexdigest()[:16],
        }
        return {
            "receiver": "kubernaut",
            "status": status,
            "alerts": [alert],
            "groupLabels": group,
            "commonLabels": labels,
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example.com:9093",
            "version": "4",
            "groupKey": '{}:{alertname="%s"}' % labels["alertname"],  # noqa: UP031  (braces stand for themselves)
            "truncatedAlerts": 0,
        }
