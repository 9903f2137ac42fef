"""People who do what people do: pause and resume, cancel, delete things by hand, change what is being repaired."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.base import CANCEL_ANNOTATION, Kind
from kubernaut.api.brake import EVERYWHERE
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli.pausing import CannotResume, pause, resume
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.manifests import SYSTEM_NAMESPACE
from tests.simulation.cluster import ENVIRONMENTS, Target
from tests.simulation.replica import SimulatedClock

EVERY_SECONDS: Final = 150.0
CHILDREN: Final = (RemediationProcessing.card, AIAnalysis.card, WorkflowExecution.card, EffectivenessAssessment.card)


@dataclass
class People:
    """They act through the API, under a person's name."""

    person: Client
    admin: Client
    clock: SimulatedClock
    targets: list[Target]
    rng: random.Random
    strength: float
    """How often they meddle, 1 being usual."""
    did: list[str] = field(default_factory=list)
    pauses: ClassVar[int] = 2
    """How often they pause, of all that they do."""

    async def play(self) -> None:
        """Meddle now and then, until cancelled."""
        deeds: tuple[tuple[Callable[[], Coroutine[Any, Any, None]], int], ...] = (
            (self._cancel, 4),
            (self._pause, self.pauses),
            (self._delete_case, 1),
            (self._delete_child, 2),
            (self._edit, 4),
            (self._hurry, 2),
        )
        while True:
            await asyncio.sleep(self.rng.expovariate(self.strength / EVERY_SECONDS))
            deed = self.rng.choices([each for each, _ in deeds], [weight for _, weight in deeds])[0]
            try:
                await deed()
            except ApiError as fault:
                if not (fault.not_found or fault.conflict):
                    raise

    async def resume_all(self) -> None:
        """Lift every pause."""
        for scope in (EVERYWHERE, *ENVIRONMENTS):
            await self._resume(scope)

    async def _resume(self, scope: str) -> None:
        try:
            await resume(self.person, SYSTEM_NAMESPACE, scope, "by script")
        except CannotResume:
            return

    async def _pause(self) -> None:
        scope = self.rng.choice((EVERYWHERE, *ENVIRONMENTS))
        self.did.append(f"{self.clock.now():%H:%M:%S} pause {scope}")
        await pause(self.person, SYSTEM_NAMESPACE, scope, "by script", self.clock.now(), cancel=self.rng.random() < 0.2)
        await asyncio.sleep(self.rng.uniform(5, 120))
        await self._resume(scope)

    async def _cancel(self) -> None:
        if name := await self._any(RemediationRequest.card):
            self.did.append(f"{self.clock.now():%H:%M:%S} cancel {name}")
            body = {"metadata": {"annotations": {CANCEL_ANNOTATION: "oncall: by script"}}}
            await self.person.patch(RemediationRequest.card, name, SYSTEM_NAMESPACE, body)

    async def _delete_case(self) -> None:
        if name := await self._any(RemediationRequest.card):
            self.did.append(f"{self.clock.now():%H:%M:%S} delete {name}")
            await self.person.delete(RemediationRequest.card, name, SYSTEM_NAMESPACE)

    async def _delete_child(self) -> None:
        kind = self.rng.choice(CHILDREN)
        if name := await self._any(kind):
            self.did.append(f"{self.clock.now():%H:%M:%S} delete {kind.kind} {name}")
            await self.person.delete(kind, name, SYSTEM_NAMESPACE)

    async def _edit(self) -> None:
        """Change a workload while something may be under way for it."""
        target = self.rng.choice(self.targets)
        self.did.append(f"{self.clock.now():%H:%M:%S} edit {target.path}")
        note = {"metadata": {"annotations": {"example.com/edited": self.clock.now().isoformat()}}}
        await self.admin.patch(core.DEPLOYMENT, target.name, target.namespace, {"spec": {"template": note}})

    async def _hurry(self) -> None:
        if name := await self._any(RemediationRequest.card):
            self.did.append(f"{self.clock.now():%H:%M:%S} hurry {name}")
            body = {"spec": {"timeoutConfig": {"workflowExecutionTimeout": "30s"}}}
            await self.person.patch(RemediationRequest.card, name, SYSTEM_NAMESPACE, body)

    async def _any(self, kind: Kind) -> str:
        found = (await self.admin.list(kind, SYSTEM_NAMESPACE)).items
        return str(self.rng.choice(found)["metadata"]["name"]) if found else ""
