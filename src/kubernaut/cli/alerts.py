"""A stand-in for Prometheus and Alertmanager: looks at pods over the API and sends Alertmanager's webhook, firing and resolved."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import aiohttp
import orjson
import structlog

from kubernaut.api import core
from kubernaut.api.base import Obj
from kubernaut.cli.places import write_whole
from kubernaut.kube.client import Client
from kubernaut.kube.clock import Clock
from kubernaut.kube.errors import ApiError
from kubernaut.network import words

ALERT = "KubePodCrashLooping"
RECEIVER = "kubernaut"
NEVER = "0001-01-01T00:00:00Z"
POLL_SECONDS = 0.25
REPEAT_SECONDS = 30.0
SETTLE_SECONDS = 1.5
"""How long all pods must stay ready, without a restart, before the alert resolves: the stand-in for a rule's own window."""
PATH = "/api/v1/signals/prometheus"

log = structlog.get_logger(__name__)


@dataclass
class Firing:
    """An alert that fires: since when."""

    labels: dict[str, str]
    since: datetime


@dataclass
class AlertSource:
    """Watches the pods of one Deployment and tells the gateway."""

    client: Client
    clock: Clock
    gateway: str
    namespace: str
    deployment: str
    memory: Path | None = None
    """Where it keeps what fires, as Alertmanager does: a kill must not leave an alert firing for ever."""
    firing: dict[str, Firing] = field(default_factory=dict)
    _calm: tuple[int, datetime] | None = None
    """Restarts of all pods when they were first seen ready together, and when that was."""

    async def run(self) -> None:
        """Look again and again; send when something changed, and repeat while it fires. Ends only when cancelled."""
        loop = asyncio.get_running_loop()
        self._recall()
        sent = frozenset(self.firing)  # what is remembered was sent: it may have resolved since
        next_repeat = loop.time() + REPEAT_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            while True:
                resolved = await self._look()
                now_firing = frozenset(self.firing)
                if resolved or now_firing != sent or (now_firing and loop.time() >= next_repeat):
                    if await self.post(session, self.body(resolved)):
                        self._keep()
                        sent, next_repeat = now_firing, loop.time() + REPEAT_SECONDS
                    else:
                        self.firing |= resolved
                await asyncio.sleep(POLL_SECONDS)

    def _recall(self) -> None:
        """Take up what fired before."""
        if self.memory is not None and self.memory.exists():
            for name, (labels, since) in orjson.loads(self.memory.read_bytes()).items():
                self.firing.setdefault(name, Firing(labels, datetime.fromisoformat(since)))

    def _keep(self) -> None:
        if self.memory is not None:
            write_whole(self.memory, orjson.dumps({name: [each.labels, each.since] for name, each in self.firing.items()}))

    async def _look(self) -> dict[str, Firing]:
        """Update what fires from the pods as they are; return what has resolved."""
        try:
            pods = await self.pods()
        except ApiError as error:
            log.warning("pods cannot be read", fault=str(error))
            return {}
        if self.firing and self._settled(pods):
            resolved, self.firing = self.firing, {}
            return resolved
        self.note([pod for pod in pods if crash_looping(pod)])
        return {}

    def note(self, failing: list[Obj]) -> None:
        """Let the alert fire for these pods from now on."""
        for pod in failing:
            self.firing.setdefault(pod["metadata"]["name"], Firing(self._labels(pod), self.clock.now()))

    def _settled(self, pods: list[Obj]) -> bool:
        """Whether all pods have been ready for a while, with no restart between."""
        count, now = restarts(pods), self.clock.now()
        if not recovered(pods):
            self._calm = None
        elif self._calm is None or self._calm[0] != count:
            self._calm = count, now
        return self._calm is not None and (now - self._calm[1]).total_seconds() >= SETTLE_SECONDS

    async def pods(self) -> list[Obj]:
        """Return the Deployment's pods."""
        deployment = await self.client.get(core.DEPLOYMENT, self.deployment, self.namespace)
        labels = deployment["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        return list((await self.client.list(core.POD, self.namespace, label_selector=selector)).items)

    def _labels(self, pod: Obj) -> dict[str, str]:
        status = next(each for each in pod["status"]["containerStatuses"] if each.get("restartCount"))
        return {
            "alertname": ALERT,
            "severity": "critical",
            "namespace": self.namespace,
            "pod": pod["metadata"]["name"],
            "container": status["name"],
            "job": "kube-state-metrics",
        }

    def body(self, resolved: Mapping[str, Firing] = {}) -> Obj:
        """Return the webhook body of the group as it stands, in the form Alertmanager sends."""
        alerts = [self._alert(each, "firing") for each in self.firing.values()]
        alerts += [self._alert(each, "resolved") for each in resolved.values()]
        group = {"alertname": ALERT, "namespace": self.namespace}
        return {
            "receiver": RECEIVER,
            "status": "firing" if self.firing else "resolved",
            "alerts": alerts,
            "groupLabels": group,
            "commonLabels": {**group, "severity": "critical", "job": "kube-state-metrics"},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example.com:9093",
            "version": "4",
            "groupKey": '{}:{alertname="%s", namespace="%s"}' % (ALERT, self.namespace),  # noqa: UP031  (braces stand for themselves)
            "truncatedAlerts": 0,
        }

    def _alert(self, firing: Firing, status: str) -> Obj:
        labels = firing.labels
        fingerprint = sha256(repr(sorted(labels.items())).encode()).hexdigest()[:16]
        return {
            "status": status,
            "labels": labels,
            "annotations": {
                "summary": "Pod is crash looping.",
                "description": f"Container {labels['container']} of {labels['pod']} restarts.",
            },
            "startsAt": firing.since.isoformat().replace("+00:00", "Z"),
            "endsAt": self.clock.now().isoformat().replace("+00:00", "Z") if status == "resolved" else NEVER,
            "generatorURL": "http://prometheus.example.com:9090/graph?g0.expr=increase%28kube_pod_container_status_restarts_total%5B10m%5D%29+%3E+0",
            "fingerprint": fingerprint,
        }

    async def post(self, session: aiohttp.ClientSession, body: Obj) -> bool:
        """Send one body; False when it was not taken, as Alertmanager would see it."""
        try:
            async with session.post(self.gateway + PATH, json=body) as answer:
                await answer.read()
                return answer.ok
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("the gateway was not reached", fault=words(error)[:200])
            return False


def crash_looping(pod: Obj) -> bool:
    """Whether a container of the pod has restarted and is not ready now."""
    return any(each.get("restartCount", 0) and not each.get("ready") for each in pod.get("status", {}).get("containerStatuses", ()))


def restarts(pods: list[Obj]) -> int:
    """Count the restarts of all containers."""
    return sum(each.get("restartCount", 0) for pod in pods for each in pod.get("status", {}).get("containerStatuses", ()))


def recovered(pods: list[Obj]) -> bool:
    """Whether there are pods and all of them are ready."""
    return bool(pods) and all(_ready(pod) for pod in pods if not pod["metadata"].get("deletionTimestamp"))


def _ready(pod: Obj) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod.get("status", {}).get("conditions", ()))
