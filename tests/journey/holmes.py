"""The analysis stage with the real HolmesGPT beside it: a cluster with trouble, a read-only account, and a model that says what a test wants."""

import asyncio
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from kubernaut.analysis.investigators.base import Cause, Finding, Investigator, Question, Verdict
from kubernaut.analysis.investigators.chain import Chain
from kubernaut.analysis.investigators.holmesgpt.investigator import HolmesInvestigator
from kubernaut.analysis.investigators.holmesgpt.process import HolmesProcess
from kubernaut.analysis.investigators.holmesgpt.settings import HolmesGPTSettings, Ladder, When
from kubernaut.analysis.reconciler import setup
from kubernaut.analysis.settings import AnalysisSettings
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.base import Obj
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.manager import Manager
from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.rights import HOLMESGPT, account_of
from tests.analysis.scripted import Model, scripted
from tests.analysis.trouble import NS, SYSTEM, Trouble, workflow
from tests.world import install, running

ROOT = Path(__file__).parents[2]
KEY = "sk-the-real-key-of-the-endpoint-0123456789"
OFFERED = ("increase-memory-conservative", "restart-deployment", "scale-deployment")


def environment() -> str:
    """Return the Python of HolmesGPT's own virtual environment, which is made where there is none; fail with the reason where it cannot be had."""
    made = subprocess.run([ROOT / "tools" / "holmesgpt_env.sh"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, f"HolmesGPT cannot be installed here: {made.stderr[-1000:]}"
    return made.stdout.strip().splitlines()[-1]


class Puzzled:
    """An investigator that never knows, as the rules where no rule fits."""

    name = "rules"

    async def investigate(self, question: Question, snapshot: Snapshot) -> Finding:
        """Say so."""
        cause = Cause(name="Unknown", summary="I don't know what is wrong.", confidence=0.0)
        return Finding(verdict=Verdict.INCONCLUSIVE, investigator=self.name, target=snapshot.target, cause=cause)


@dataclass
class Holmes:
    """What tests need: a cluster, HolmesGPT's process, and the model behind it."""

    client: Client
    cluster: LocalCluster
    model: Model
    process: HolmesProcess
    settings: HolmesGPTSettings

    @asynccontextmanager
    async def analysing(self, first: Investigator | None = None, **settings: Any) -> AsyncIterator[HolmesInvestigator]:
        """Run the analysis stage; by default its rules never know."""
        chosen = self.settings.model_copy(update=settings)
        holmes = HolmesInvestigator(chosen, SystemClock(), self.process)
        chain = Chain([first or Puzzled()], holmes, chosen)
        manager = Manager(self.client, SystemClock(), name="analysis", namespace=SYSTEM)
        setup(manager, AnalysisSettings(holmesgpt=chosen, preview_timeout=timedelta(milliseconds=1)), [chain])
        try:
            async with running(manager):
                yield holmes
        finally:
            await holmes.rest()

    @asynccontextmanager
    async def with_another(self, **settings: Any) -> AsyncIterator["Holmes"]:
        """Give the same stage with a process of its own."""
        chosen = self.settings.model_copy(update=settings)
        process = HolmesProcess(chosen)
        yield replace(self, settings=chosen, process=process)
        await process.close()

    async def analysis(self, name: str, trouble: Trouble, holds: Callable[[AIAnalysis], bool]) -> AIAnalysis:
        """Ask about trouble, and return the analysis as soon as something holds of it."""
        await self.client.create(AIAnalysis.card, trouble.question(name))
        async with asyncio.timeout(600):
            while (found := await self._seen(name, holds)) is None:
                pass  # a watch ends after some minutes; loading HolmesGPT may take longer on a busy machine
        return found

    async def _seen(self, name: str, holds: Callable[[AIAnalysis], bool]) -> AIAnalysis | None:
        """Watch the analysis until something holds of it; None where the watch ends before."""
        async with aclosing(self.client.watch(AIAnalysis.card, SYSTEM, resource_version="0")) as events:
            async for type_, obj in events:
                if type_ != "BOOKMARK" and obj["metadata"]["name"] == name and holds(found := AIAnalysis.model_validate(obj)):
                    return found
        return None


def settled(found: AIAnalysis) -> bool:
    """Tell whether an investigator has answered."""
    return bool(found.status.investigator) and (found.status.completed_at is not None or found.status.approval_request_name != "")


@asynccontextmanager
async def holmes_stage(place: Path) -> AsyncIterator[Holmes]:
    """Give the stage: one life of HolmesGPT's process for all tests, as in production."""
    python = await asyncio.to_thread(environment)
    async with AsyncExitStack() as stack:
        cluster = LocalCluster(ClusterSettings(anonymous=False, tls=True, rbac=True))
        await cluster.start()
        stack.push_async_callback(cluster.stop)
        client = Client(cluster.url, token=cluster.admin_token, tls=ssl.create_default_context(cadata=cluster.certificate))
        stack.push_async_callback(client.close)
        await install(client)
        model = await stack.enter_async_context(scripted())
        settings = HolmesGPTSettings(
            asked=When.UNKNOWN,
            python=python,
            endpoint=model.url,
            model="scripted",
            api_key_file=str(_written(place / "key", KEY)),
            kubeconfig=str(_written(place / "kubeconfig", await reader(client, cluster))),
            path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            start_timeout=timedelta(minutes=8),
            look_again=timedelta(milliseconds=100),
            retries=Ladder(first=timedelta(milliseconds=20), longest=timedelta(milliseconds=50), total=timedelta(milliseconds=200)),
        )
        process = HolmesProcess(settings)
        stack.push_async_callback(process.close)
        for folder in OFFERED:
            await client.create(RemediationWorkflow.card, workflow(folder))
        yield Holmes(client, cluster, model, process, settings)


async def reader(client: Client, cluster: LocalCluster) -> str:
    """Return a kubeconfig of the shipped account that may read and nothing else."""
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    body = {**wanted, "metadata": {"namespace": SYSTEM}}
    made = await client.create(core.SERVICE_ACCOUNT, body, subresource_of=account_of(HOLMESGPT), subresource="token")
    return yaml.safe_dump(kubeconfig(cluster, made["status"]["token"]))


def kubeconfig(cluster: LocalCluster, token: str) -> Obj:
    authority = _encoded(cluster.certificate)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": cluster.url, "certificate-authority-data": authority}}],
        "users": [{"name": "it", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it", "namespace": NS}}],
    }


def _encoded(certificate: str) -> str:
    return b64encode(certificate.encode()).decode()


def _written(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path
