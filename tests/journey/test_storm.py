"""1,000 alerts through a real Alertmanager while gateways and controllers are killed by SIGKILL: each ends up in exactly one case."""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

import aiohttp
import pytest
import yaml

from kubernaut.api import core
from kubernaut.api.base import Obj
from kubernaut.api.remediation import RemediationRequest
from kubernaut.kube.client import Client
from kubernaut.kube.informer import Informer
from kubernaut.manifests import SYSTEM_NAMESPACE
from tests.daemons import ALERTMANAGER, alertmanager, free_port
from tests.journey.programs import Program
from tests.world import eventually, install

pytestmark = [
    pytest.mark.skipif(ALERTMANAGER is None, reason="not run: no Alertmanager here; on Debian: apt-get install prometheus-alertmanager"),
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("storm"),
]
PATIENCE = 600.0
"""Seconds that anything may take on a machine that does much else; alone, the whole takes about one minute."""
NAMESPACE = "shop"
LONELY, SHARED, PODS, GROUPS = 200, 160, 5, 40
"""Alerts about Deployments of their own; Deployments with an alert about each of their pods; groups that Alertmanager makes of all."""
OFF = ("deployments", "replicasets", "pods", "scheduler")
"""Stand-ins that would make other pods than ours."""
OPENING, ENDING = 6, 3
"""Deaths while cases are opened, and while they end."""
LINES = 200
"""What a process may log, over all its lives: a storm is told of in few lines."""
SEED = 20261122


@dataclass
class Storm:
    """The processes, and what has become of the alerts."""

    path: Path
    env: dict[str, str]
    kubeconfig: Path
    requests: Informer
    stack: AsyncExitStack
    programs: list[Program] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def cases(self) -> list[Obj]:
        return self.requests.store.all()

    def ended(self) -> list[Obj]:
        return [case for case in self.cases() if case.get("status", {}).get("completionTime")]

    def begin(self, name: str, parts: tuple[str, ...], **settings: object) -> None:
        """Start a process that runs parts."""
        config = self.path / f"{name}.yaml"
        config.write_text(yaml.safe_dump({"log_level": "warning", "log_format": "console", "leader": LEADER, **settings}))
        arguments = ("run", *parts, "--config", str(config), "--kubeconfig", str(self.kubeconfig))
        program = Program(arguments, self.env, self.path / f"{name}.log")
        self.stack.callback(program.stop)
        self.programs.append(program)
        program.start()

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds of the cases."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise AssertionError(f"never: {what}; there are {len(self.cases())} cases, {len(self.ended())} of them over") from None

    async def dying(self, victims: list[Program], deaths: int, reached: Callable[[], int], chance: random.Random) -> None:
        """Kill one program after the other, each when a random share of the cases has got somewhere, and start it again."""
        for death in range(deaths):
            wanted = (death + chance.random()) * len(expected()) / deaths
            await self.until(partial(_enough, reached, wanted), f"{wanted:.0f} cases opened or over")
            victim = victims[death % len(victims)]
            victim.kill()
            victim.start()


def _enough(reached: Callable[[], int], wanted: float) -> bool:
    return reached() >= wanted


LEADER = {"lease": "PT6S", "renew": "PT5S", "retry": "PT0.5S"}
"""A killed leader is followed soon."""


def alerts() -> list[Obj]:
    """Return what Prometheus would tell Alertmanager."""
    now = datetime.now(UTC).isoformat()
    targets = [{"deployment": f"lonely-{number}"} for number in range(LONELY)]
    targets += [{"pod": f"shared-{number}-{pod}"} for number in range(SHARED) for pod in range(PODS)]
    common = {"alertname": "KubePodCrashLooping", "severity": "warning", "namespace": NAMESPACE}
    return [
        {"labels": {**common, "team": f"team-{number % GROUPS}", **target}, "annotations": {"summary": f"number {number}"}, "startsAt": now}
        for number, target in enumerate(targets)
    ]


@cache
def expected() -> dict[str, set[str]]:
    """Return the targets that must have a case each, with the objects that their alerts are about."""
    lonely = {f"{NAMESPACE}/deployment/lonely-{number}" for number in range(LONELY)}
    shared = {
        f"{NAMESPACE}/deployment/shared-{number}": {f"{NAMESPACE}/pod/shared-{number}-{pod}" for pod in range(PODS)}
        for number in range(SHARED)
    }
    return {target: {target} for target in lonely} | shared


async def furnish(client: Client) -> None:
    """Make the Deployments that have pods, as their controllers would."""
    await client.create(core.NAMESPACE, {"metadata": {"name": NAMESPACE}})
    await asyncio.gather(*(_workload(client, f"shared-{number}") for number in range(SHARED)))


async def _workload(client: Client, name: str) -> None:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "shop:1"}]}}
    spec = {"replicas": PODS, "selector": {"matchLabels": labels}, "template": template}
    owner = await client.create(core.DEPLOYMENT, {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
    meta = {"namespace": NAMESPACE, "labels": labels}
    owned = {"name": f"{name}-1", "ownerReferences": [_owned(owner, "Deployment")]}
    owner = await client.create(core.REPLICA_SET, {"metadata": meta | owned, "spec": spec})
    for pod in range(PODS):
        owned = {"name": f"{name}-{pod}", "ownerReferences": [_owned(owner, "ReplicaSet")]}
        await client.create(core.POD, {"metadata": meta | owned, "spec": template["spec"]})


def _owned(owner: Obj, kind: str) -> Obj:
    return {"apiVersion": "apps/v1", "kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": True}


def routes(gateways: list[str]) -> Obj:
    """Return Alertmanager's configuration: both gateways hear everything. A send that fails is repeated for the length of an interval."""
    quick = {"group_by": ["alertname", "team"], "group_wait": "100ms", "group_interval": "15s", "repeat_interval": "30s"}
    hooks = [{"url": f"{url}/api/v1/signals/prometheus", "send_resolved": True} for url in gateways]
    return {"route": {"receiver": "kubernaut"} | quick, "receivers": [{"name": "kubernaut", "webhook_configs": hooks}]}


@asynccontextmanager
async def storming(path: Path):
    """Run the API server, two gateways and the controllers, a process each; give them with the gateways' URLs."""
    env = {"PATH": os.environ["PATH"], "HOME": str(path), "XDG_STATE_HOME": str(path / "state"), "LANG": "C.UTF-8"}
    server = Program(("cluster", "start", "--free-port", *(f"--off={each}" for each in OFF)), env, path / "server.log")
    async with AsyncExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        kubeconfig = path / "state" / "kubernaut" / "cluster" / "kubeconfig"
        await eventually(lambda: server.has(kubeconfig.with_name("running.json")), seconds=PATIENCE)
        client = Client.from_kubeconfig(str(kubeconfig))
        stack.push_async_callback(client.close)
        await install(client)
        await furnish(client)
        storm = Storm(path, env, kubeconfig, Informer(client, RemediationRequest.card, SYSTEM_NAMESPACE), stack)
        storm.requests.on_change(lambda _old, _new: storm.changed.set())
        stack.callback(asyncio.create_task(storm.requests.run()).cancel)
        urls = []
        for number in range(2):
            port = free_port()
            storm.begin(f"gateway-{number}", ("gateway",), gateway={"port": port, "managed_only": False})
            urls.append(f"http://127.0.0.1:{port}")
        # no analysis yet: cases stay open, so that repeats belong to them
        storm.begin("controllers", ("orchestration", "processing"), orchestration={"managed_only": False})
        for program, url in zip(storm.programs, urls, strict=False):
            await eventually(lambda program=program, url=url: program.answers(url + "/readyz"), seconds=PATIENCE)
        yield storm, urls


async def tell(url: str, body: list[Obj]) -> None:
    async with aiohttp.ClientSession() as http, http.post(f"{url}/api/v2/alerts", json=body) as answer:
        assert answer.status == 200, await answer.text()


async def test_every_firing_alert_ends_up_in_exactly_one_case(tmp_path):
    chance = random.Random(SEED)
    async with storming(tmp_path) as (storm, urls):
        async with alertmanager(tmp_path, routes(urls)) as url:
            await tell(url, alerts())
            await storm.dying(storm.programs, OPENING, lambda: len(storm.cases()), chance)
            await storm.until(lambda: len(storm.cases()) >= len(expected()) and seen(storm.cases()) == expected(), "every alert in a case")
        *gateways, controllers = storm.programs
        storm.begin("analysis", ("analysis",))
        await storm.dying([controllers, storm.programs[-1]], ENDING, lambda: len(storm.ended()), chance)
        await storm.until(lambda: len(storm.ended()) == len(storm.cases()), "the end of every case")
        told = Counter(case["spec"]["targetResource"] for case in storm.cases())
        assert told == Counter(dict.fromkeys(expected(), 1))
        assert {program.deaths for program in gateways} == {2}
        assert sum(program.deaths for program in storm.programs) == OPENING + ENDING
        assert all(program.lines() <= LINES for program in storm.programs), [program.lines() for program in storm.programs]


def seen(cases: list[Obj]) -> dict[str, set[str]]:
    """Return the targets of cases, each with the objects that alerts were about."""
    return {case["spec"]["targetResource"]: _resources(case) for case in cases}


def _resources(case: Obj) -> set[str]:
    if tally := case.get("status", {}).get("deduplication"):
        return set(tally["resources"])
    labels = json.loads(case["spec"]["originalPayload"])["alerts"][0]["labels"]
    return {f"{NAMESPACE}/pod/{labels['pod']}" if "pod" in labels else case["spec"]["targetResource"]}
