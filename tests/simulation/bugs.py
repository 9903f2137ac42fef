"""Bugs on purpose, each by one function of the product replaced, with the law that must find it and within how many cases."""

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from kubernaut import wiring
from kubernaut.analysis.approval_words import PolicyDecision
from kubernaut.analysis.policy import ApprovalPolicy
from kubernaut.analysis.settings import PlanMode
from kubernaut.api.base import JournalEntry, Resource
from kubernaut.api.brake import pause_over
from kubernaut.api.core import PIPELINE_RUN
from kubernaut.gateway.intake import Intake
from kubernaut.gateway.opening import Opened, Opening
from kubernaut.gateway.results import Became, Result
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.outcome import DONE
from kubernaut.notification import courier
from kubernaut.notification.render import escalation_name
from kubernaut.orchestration import report, routing
from kubernaut.orchestration.children import build
from kubernaut.orchestration.gate.brake import held_by_limits
from kubernaut.orchestration.table import next_phase
from kubernaut.outbound import Undeliverable
from kubernaut.workflow.cooldown import Rest, rest
from kubernaut.workflow.decide import LockState
from kubernaut.workflow.engines.tekton import TektonEngine, pipeline_run
from kubernaut.workflow.holders import Locks, Standing
from kubernaut.workflow.reconciler import WorkflowReconciler
from tests.simulation.people import People

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Bug:
    """What is wrong, and who finds it."""

    name: str
    plant: Callable[[Patch], None]
    law: str
    """How the broken law's message begins."""
    cases: int
    """Within so many cases it is found."""
    targets: int = 6
    """Workloads in a world that is likely to show it."""
    layout: int | None = None
    """Which processes run, where it matters."""
    mode: PlanMode | None = None
    """What fixes are made of, where it matters."""
    first: int = 1000
    """The seed that is tried first: the cheapest known to show it."""


def everywhere(patch: Patch, known: Callable[..., Any], other: Callable[..., Any]) -> None:
    """Replace a function in every module of the product that has it."""
    name_of = str(known.__name__)
    for name, module in list(sys.modules.items()):
        if name.startswith("kubernaut.") and getattr(module, name_of, None) is known:
            patch.setattr(module, name_of, other)


def _skip_approval(patch: Patch) -> None:
    judge = ApprovalPolicy.judge
    patch.setattr(ApprovalPolicy, "judge", lambda self, proposal: replace(judge(self, proposal), decision=PolicyDecision.APPROVED))


def _create_twice(patch: Patch) -> None:
    start = TektonEngine.start

    async def twice(self, execution):
        found = await start(self, execution)
        another = pipeline_run(execution, self._settings)
        another["metadata"]["name"] += "-again"
        await self._cluster.client.create(PIPELINE_RUN, another)
        return found

    patch.setattr(TektonEngine, "start", twice)


def _keep_lock(patch: Patch) -> None:
    async def release(_self, _execution):
        return True

    patch.setattr(Locks, "release", release)


def _take_no_lock(patch: Patch) -> None:
    async def standing(_self, _execution):
        return Standing(LockState.OURS)

    patch.setattr(Locks, "standing", standing)


def _lose_facts(patch: Patch) -> None:
    honest = wiring._deliver

    def careless(service, actor):
        deliver = honest(service, actor)

        async def swallowing(resource: Resource, entries: list[JournalEntry]) -> None:
            try:
                await deliver(resource, entries)
            except Undeliverable:
                return

        return swallowing

    patch.setattr(wiring, "_deliver", careless)


def _answer_early(patch: Patch) -> None:
    def failed(_self, arrival, _reason, _message):
        return Result(Became.DUPLICATE, "surely stored", arrival.identity.fingerprint)

    patch.setattr(Intake, "_failed", failed)


def _claim_nothing(patch: Patch) -> None:
    async def opened(self, arrival):
        name = f"remediation-{random.randrange(10**10):010}"
        made = await self._created(name, arrival)
        assert made is not None
        return Opened(made, ours=True)

    patch.setattr(Opening, "open", opened)


def _set_no_deadline(patch: Patch) -> None:
    def endless(*given):
        made, until = build(*given)
        assert hasattr(made, "spec")
        return made.model_copy(update={"spec": made.spec.model_copy(update={"times_out_at": None})}), until

    everywhere(patch, build, endless)


def _never_cool_down(patch: Patch) -> None:
    unrested = {stage: tuple(each for each in checks if each is not routing.rested) for stage, checks in routing.CHECKS.items()}
    admitted = routing.admitted
    everywhere(patch, rest, lambda *_, **__: Rest())
    everywhere(patch, admitted, lambda step, situation: admitted(step, situation, unrested))


def _call_twice(patch: Patch) -> None:
    everywhere(patch, escalation_name, lambda request: f"{escalation_name(request)}-{random.randrange(10**6)}")


def _drop_finalizer(patch: Patch) -> None:
    async def finalize(_self, _execution):
        return DONE

    patch.setattr(WorkflowReconciler, "finalize", finalize)


def _ignore_pause(patch: Patch) -> None:
    everywhere(patch, pause_over, lambda *_: None)
    patch.setattr(People, "pauses", 40)


def _jump(patch: Patch) -> None:
    everywhere(patch, next_phase, lambda _before, after, *_, **__: after)


def _cut_brake(patch: Patch) -> None:
    everywhere(patch, held_by_limits, lambda *_: None)


def _write_in_circles(patch: Patch) -> None:
    hold = report._hold

    def restless(status, block, until, now):
        hold(status, block, until, now)
        status.blocked_until = until

    patch.setattr(report, "_hold", restless)


def _forget_sent(patch: Patch) -> None:
    patch.setattr(courier, "REMEMBERED", 0)


def _change_what_is_shared(patch: Patch) -> None:
    find = Cluster.find

    def careless(self, model, namespace, name):
        found = find(self, model, namespace, name)
        if found is not None:
            found.metadata.labels["seen"] = "yes"
        return found

    patch.setattr(Cluster, "find", careless)


BUGS = (
    Bug("a skipped approval", _skip_approval, "nothing without approval", 60),
    Bug("a run created twice", _create_twice, "one run to an execution", 60, mode=PlanMode.CATALOGUE),
    Bug("an unreleased lock", _keep_lock, "what is gone holds no lock", 60, mode=PlanMode.CATALOGUE, first=1002),
    Bug("a lock not taken", _take_no_lock, "a run needs its target's lock", 60, mode=PlanMode.CATALOGUE),
    Bug("a lost fact", _lose_facts, "no fact is lost", 100),
    Bug("an alert acknowledged before it is stored", _answer_early, "every alert is accounted for", 100, first=1004),
    Bug("a stale cache trusted", _claim_nothing, "one open remediation to a fingerprint", 200, layout=1, first=1005),
    Bug("a missing deadline", _set_no_deadline, "nothing waits without a deadline", 20),
    Bug("an escalation sent twice", _call_twice, "an end is told once", 400, targets=3, first=1011),
    Bug("a finalizer dropped early", _drop_finalizer, "what is gone", 200, targets=3, mode=PlanMode.CATALOGUE, first=1002),
    Bug("a pause ignored", _ignore_pause, "nothing starts while paused", 200),
    Bug("a phase jumped over", _jump, "phases follow the table", 300),
    Bug("no brake", _cut_brake, "the brake holds", 200, targets=14, first=1001),
    Bug("writes in a circle", _write_in_circles, "nobody writes in a circle", 100, targets=4, first=1001),
    Bug("a message sent again", _forget_sent, "a message is sent once", 400, targets=3, first=1029),
    Bug("a cached model changed", _change_what_is_shared, "nobody changes what is shared", 60, targets=2),
    Bug("a cooldown ignored", _never_cool_down, "a target rests after a fix", 200, targets=10, mode=PlanMode.CATALOGUE, first=1001),
)
