"""A process that plays the story on a state directory, and kills itself by SIGKILL after a number of recorded API writes.

It answers approvals like a person, writes each message it shows to `shown`, and, when the case has ended and nothing is on its way any
more, what came of it to `outcome.json`. What a life before it left is taken up: that is what is tested.
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kubernaut.analysis.settings import PlanMode
from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.base import Obj
from kubernaut.api.kinds import CASE
from kubernaut.api.remediation import RemediationRequest
from kubernaut.cli.approving import answer
from kubernaut.cli.embedded import Ports
from kubernaut.kube.status import status_of
from kubernaut.localcluster.store import Store
from kubernaut.manifests import SYSTEM_NAMESPACE
from kubernaut.telemetry import configure_logging
from tests.journey.stage import NAMESPACE, Stage, alone, playing, settings_for, told

COUNTED = (*(f"{model.card.plural}." for model in CASE), "pipelineruns.", "taskruns.")
"""What counts as a recorded write: all kinds of the case, and of its run."""


@dataclass(frozen=True)
class Fate:
    """One life: where, on which ports, in which mode, and after how many writes it ends (0: it does not)."""

    root: Path
    ports: Ports
    mode: PlanMode
    writes: int = 0


def main(fate: Fate) -> None:
    """Live in a process of its own."""
    if fate.writes:
        die_after(fate.writes)
    sys.stdout = sys.stderr = (fate.root / "log").open("a", encoding="utf-8", buffering=1)
    configure_logging(form="console")
    asyncio.run(live(fate))


def die_after(writes: int) -> None:
    """Kill this very process once so many counted writes are in the journal; none is lost, and none comes after."""
    put, left = Store.put, [writes]

    def counted(self, resource, key, obj):
        record = put(self, resource, key, obj)
        if resource.startswith(COUNTED) or _is_fix(resource, key, obj):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return record

    Store.put = counted  # type: ignore[method-assign]


def _is_fix(resource, key, obj):
    """Tell whether a write is one to the story's Deployment itself or to the lock on it."""
    return (resource.startswith("deployments.") and key[0] == NAMESPACE) or (resource.startswith("leases.") and key[0] == SYSTEM_NAMESPACE)


async def live(fate: Fate) -> None:
    """Play on until the case has ended."""
    with (fate.root / "shown").open("a", encoding="utf-8") as shown:

        def show(message):
            shown.write(json.dumps([message.id, message.subject]) + "\n")
            shown.flush()

        def settings(place):
            return settings_for(place, mode=fate.mode)

        async with AsyncExitStack() as stack:
            stage = await stack.enter_async_context(
                playing(fate.root, played=alone(told()), settings=settings, ports=fate.ports, show=show, memory=fate.root / "alerts.json")
            )
            await stack.enter_async_context(stage.alerting())
            answering = asyncio.create_task(answer_all(stage))
            request = await stage.ended()
            answering.cancel()
            (fate.root / "outcome.json").write_text(json.dumps(await outcome(stage, request), default=str))


async def answer_all(stage: Stage) -> None:
    """Say yes to every question, once people were told of it."""
    while True:
        await stage.view.until(RemediationRequest, lambda each: each.status.approval_notification_sent, seconds=None)
        asked = await stage.view.until(AIApprovalRequest, lambda each: each.status.decision is None, seconds=None)
        await answer(stage.person, asked, Decision.APPROVED, "", datetime.now(UTC))
        await stage.view.until(AIApprovalRequest, lambda each: each.status.decision is not None, seconds=None)


async def outcome(stage: Stage, request: RemediationRequest) -> Obj:
    """Gather what a test wants to know, once all has come to rest."""
    name = request.metadata.name
    await stage.message(f"{name}-completion")
    await stage.unlocked()
    facts = await stage.facts(name)
    deployment = await stage.deployment()
    return {
        "requests": [each.metadata.name for each in stage.view.all(RemediationRequest)],
        "phase": request.status.phase.value,
        "outcome": request.status.outcome,
        "kinds": sorted(found.card.kind for found in stage.family()),
        "pipeline_runs": [each["metadata"]["name"] for each in await stage.objects(core.PIPELINE_RUN)],
        "task_runs": [each["metadata"]["name"] for each in await stage.objects(core.TASK_RUN)],
        "generation": deployment["metadata"]["generation"],
        "limit": deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"],
        "replica_sets": len(await stage.objects(core.REPLICA_SET, NAMESPACE)),
        "journals": {found.metadata.uid: status_of(found).journal.count for found in stage.family()},
        "facts": [[each["resource_type"], each["resource_id"], each["sequence"]] for each in facts],
    }
