"""Secrets planted in every field of a case, and looked for in everything that comes out of it."""

import asyncio
import io
import json
import random
import sys
from functools import partial
from types import MappingProxyType
from typing import ClassVar

import pytest

from kubernaut.analysis.settings import PlanMode
from kubernaut.api import core
from kubernaut.api.approval import Decision
from kubernaut.api.kinds import ALL
from kubernaut.api.redact import HIDDEN
from kubernaut.cli.alerts import AlertSource
from kubernaut.kube.events import EVENT
from kubernaut.manifests import SYSTEM_NAMESPACE, WORKFLOW_NAMESPACE
from kubernaut.notification.channels.base import Message
from kubernaut.telemetry import configure_logging
from tests.journey.secrets import Planter, alert, event, seeded
from tests.journey.stage import DEPLOYMENT, NAMESPACE, playing, settings_for, told
from tests.logs import as_before


@pytest.fixture
def logs(monkeypatch):
    """Log as a deployed part does, every level of it, and give back how to read what was logged."""
    written = io.StringIO()
    with as_before():
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", written)
            configure_logging(level="debug")
        yield written.getvalue


class Leaky(AlertSource):
    """An Alertmanager whose alerts hold secrets."""

    planter: ClassVar[Planter]

    def body(self, resolved=MappingProxyType({})):
        """Return the webhook body, with new secrets in it every time."""
        return alert(super().body(resolved), self.planter)


async def run(*arguments):
    """Return what a command of ours prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kubernaut.cli.main", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    return (await process.communicate())[0].decode()


async def post(stage, part, path, body):
    """Return the answer to a body as a text."""
    async with stage.http.post(stage.system.endpoints.urls[part] + path, data=body, headers={"Content-Type": "application/json"}) as reply:
        return await reply.text()


async def play(stage, planter):
    """Play the story with secrets in everything that comes in; return what was answered."""
    await stage._look(2)
    pods = await stage.source.pods()
    for number, text in enumerate(planter.forms()):
        await stage.client.create(EVENT, event(pods[0], text, number))
    answers = [await post(stage, "gateway", "/api/v1/signals/prometheus", json.dumps(stage.source.body()))]
    answers += await errors(stage, planter)
    async with stage.alerting():
        await stage.decide(Decision.APPROVED, f"go on, the password: {planter.secret()}")
        return await stage.ended(), answers


async def errors(stage, planter):
    """Send each part what it refuses, with secrets in it; return the answers."""
    bad = [
        json.dumps({"token": planter.secret(), "alerts": [{"labels": {"password": planter.secret()}, "note": text}]})
        for text in planter.forms()
    ]
    places = [
        ("gateway", "/api/v1/signals/prometheus"),
        ("notification", "/api/v1/notify/escalation"),
        ("datastorage", "/api/v1/audit/events"),
    ]
    answers = [await post(stage, part, path, body) for part, path in places for body in bad]
    events = json.dumps([{"correlation_id": "x", "password": planter.secret(), "message": text} for text in planter.forms()])
    answers.append(await post(stage, "datastorage", "/api/v1/audit/events/batch", events))
    words = {
        "channels": ["console"],
        "subject": planter.forms()[0],
        "message": "\n".join(planter.forms()),
        "metadata": {"token": planter.secret()},
    }
    answers.append(await post(stage, "notification", "/api/v1/notify/simple", json.dumps(words)))
    return answers


async def outputs(stage, name):
    """Return everything that came out, by what it is."""
    urls, found = stage.system.endpoints.urls, dict[str, str]()
    for model in ALL:
        for obj in await stage.objects(model.card, SYSTEM_NAMESPACE):
            found[f"{model.card.kind} {obj['metadata']['name']}"] = json.dumps(obj, ensure_ascii=False)
    for kind in (core.CONFIG_MAP, core.LEASE, core.PIPELINE_RUN, core.TASK_RUN):
        for namespace in (SYSTEM_NAMESPACE, WORKFLOW_NAMESPACE):
            found[f"{kind.kind} in {namespace}"] = json.dumps(await stage.objects(kind, namespace), ensure_ascii=False)
    found["Events"] = json.dumps(
        [each for each in await stage.objects(EVENT) if "kubelet" not in str(each.get("source"))], ensure_ascii=False
    )
    found["audit trail"] = json.dumps(await stage.facts(name), ensure_ascii=False)
    found["audit database"] = "".join(each.read_bytes().decode(errors="replace") for each in stage.system.place.path.glob("audit.db*"))
    for part, url in urls.items():
        async with stage.http.get(url + "/metrics") as reply:
            found[f"metrics of {part}"] = await reply.text()
    commands = told_by(name, stage.system.place.kubeconfig, urls["datastorage"], stage.system.place.path / "export.jsonl")
    said = await asyncio.gather(*(run(*arguments) for arguments in commands))
    found |= {f"kubernaut {arguments[0]}": text for arguments, text in zip(commands, said, strict=True)}
    found["export"] = (stage.system.place.path / "export.jsonl").read_text()
    return found


def told_by(name, kubeconfig, records, export):
    """Return the commands that tell of a case."""
    config = ["--kubeconfig", str(kubeconfig)]
    place = ["-n", NAMESPACE, *config]
    return [
        ["get", *config],
        ["describe", name, *config],
        ["timeline", name, "--data-storage", records],
        ["show", name, "--from-audit", "--data-storage", records, *config],
        ["investigate", f"deploy/{DEPLOYMENT}", "--explain", *place],
        ["rehearse", "--deployment", DEPLOYMENT, "--output", "yaml", *place],
        ["undo", name, "--dry-run", *config],
        ["audit", "export", str(export), "--data-storage", records],
    ]


@pytest.mark.parametrize("mode", list(PlanMode))
async def test_none_of_two_hundred_planted_secrets_comes_out_anywhere(tmp_path, logs, mode):
    planter, shown = Planter(random.Random(7)), list[Message]()
    Leaky.planter = planter
    settings = partial(settings_for, mode=mode)
    async with playing(tmp_path, played=seeded(told(), planter), settings=settings, source=Leaky, show=shown.append) as stage:
        request, answers = await play(stage, planter)
        found = await outputs(stage, request.metadata.name)
    found |= {"messages": "\n".join(map(repr, shown)), "answers": "\n".join(answers), "logs": logs()}
    assert len(planter.planted) >= 200
    assert HIDDEN in found[f"RemediationRequest {request.metadata.name}"]
    assert request.metadata.name in found["messages"]
    assert request.metadata.name in found["kubernaut timeline"]
    assert request.metadata.name in found["logs"]
    assert leaks(found, planter.planted) == []
    assert "put back as it was before" in found["kubernaut undo"]


def leaks(found, planted):
    """Return where a secret was found, with what stood around it."""
    places = [(place, text, secret, text.find(secret)) for place, text in found.items() for secret in planted]
    return [(place, text[max(0, at - 160) : at + len(secret) + 40]) for place, text, secret, at in places if at >= 0]
