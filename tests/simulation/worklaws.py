"""The laws about what is carried out: one at a time, once, with a yes, under a lock, after a rest, and never while somebody holds it."""

from datetime import datetime, timedelta
from typing import Final

from kubernaut.api.base import Obj
from kubernaut.api.workflow import SOURCE_NAMESPACE_LABEL, TARGET_RESOURCE_ANNOTATION, WORKFLOW_EXECUTION_LABEL
from tests.simulation.laws import Law, phase_of

HOLD_SECONDS: Final = 2.0
"""How soon a pause holds everything."""
SKEW: Final = timedelta(seconds=4)
"""How far the clocks of two processes may be apart."""


def run_is_over(run: Obj) -> bool:
    """Whether a PipelineRun has ended."""
    conditions = (run.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Succeeded" and each["status"] in {"True", "False"} for each in conditions)


def is_rehearsal(execution: Obj) -> bool:
    """Whether a KubernetesExecution changes nothing."""
    return bool((execution["spec"].get("executionConfig") or {}).get("dryRun"))


class Held(Law):
    """Nothing is started while a person has paused it, and never more at once than the brake allows."""

    plurals = frozenset({"pipelineruns", "kubernetesexecutions", "remediationbrakes"})

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._paused: dict[str, float] = {}

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            return
        if plural == "remediationbrakes":
            scopes = [each["namespace"] for each in (new.get("spec") or {}).get("pauses") or ()]
            self._paused = {scope: self._paused.get(scope, self.facts.now()) for scope in scopes}
        elif old is None and not (plural == "kubernetesexecutions" and is_rehearsal(new)):
            self._begun(plural, new)

    def _begun(self, plural: str, new: Obj) -> None:
        namespace = self._namespace(plural, new)
        for scope in ("*", namespace):
            since = self._paused.get(scope)
            if since is not None and self.facts.now() - since > HOLD_SECONDS and "late" not in self.facts.server.actor:
                self.broken(
                    f"nothing starts while paused: {new['metadata']['name']} began {self.facts.now() - since:.1f} s after {scope} was paused"
                )
        self._within_limits(namespace)

    def _within_limits(self, namespace: str) -> None:
        brake = self.facts.settings.orchestration.brake
        at_work = [self._namespace("pipelineruns", each) for each in self.facts.all("pipelineruns") if not run_is_over(each)]
        at_work += [self._namespace("kubernetesexecutions", each) for each in self.facts.all("kubernetesexecutions") if _works(each)]
        if brake.concurrent is not None and len(at_work) > brake.concurrent:
            self.broken(f"the brake holds: {len(at_work)} fixes at once in the cluster, {brake.concurrent} are allowed")
        here = at_work.count(namespace)
        if brake.concurrent_per_namespace is not None and here > brake.concurrent_per_namespace:
            self.broken(f"the brake holds: {here} fixes at once in {namespace}, {brake.concurrent_per_namespace} are allowed")

    def _namespace(self, plural: str, obj: Obj) -> str:
        if plural == "pipelineruns":
            return str(obj["metadata"]["annotations"][TARGET_RESOURCE_ANNOTATION]).split("/")[0]
        found = self.facts.of_remediation("workflowexecutions", obj["spec"]["remediationRequestRef"]["name"])
        return str(found[0]["spec"]["targetResource"]).split("/")[0] if found else ""


def _works(execution: Obj) -> bool:
    return phase_of(execution) not in {"Completed", "Failed"} and not is_rehearsal(execution)


class OneExecution(Law):
    """At most one execution at work on a target."""

    plurals = frozenset({"pipelineruns", "kubernetesexecutions"})

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            return
        target = self._target(plural, new)
        at_work = [*self._runs(target), *self._executions(target)]
        if len(at_work) > 1:
            self.broken(f"one execution on a target: {', '.join(at_work)} work on {target}")

    def _target(self, plural: str, obj: Obj) -> str:
        if plural == "pipelineruns":
            return str(obj["metadata"]["annotations"][TARGET_RESOURCE_ANNOTATION])
        found = self.facts.of_remediation("workflowexecutions", obj["spec"]["remediationRequestRef"]["name"])
        return str(found[0]["spec"]["targetResource"]) if found else ""

    def _runs(self, target: str) -> list[str]:
        return [
            each["metadata"]["name"]
            for each in self.facts.all("pipelineruns")
            if not run_is_over(each) and self._target("pipelineruns", each) == target
        ]

    def _executions(self, target: str) -> list[str]:
        return [
            each["metadata"]["name"]
            for each in self.facts.all("kubernetesexecutions")
            if _works(each) and self._target("kubernetesexecutions", each) == target
        ]


class OneRun(Law):
    """A workflow's run is made once, whoever deletes it; again only after one that was spoiled before it began."""

    plurals = frozenset({"pipelineruns"})

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._made: dict[str, list[str]] = {}

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if old is not None or new is None:
            return
        annotations = new["metadata"]["annotations"]
        made = self._made.setdefault(annotations["kubernaut.ai/workflow-execution-uid"], [])
        made.append(new["metadata"]["uid"])
        for uid in made[:-1]:
            reasons = [each.get("reason", "") for each in ((self.facts.gone.get(uid) or {}).get("status") or {}).get("conditions") or ()]
            if "CouldntGetPipeline" not in reasons:
                self.broken(f"one run to an execution: {new['metadata']['name']} was made {len(made)} times")


class Approved(Law):
    """Nothing is carried out in production without a person's yes."""

    plurals = frozenset({"pipelineruns", "kubernetesexecutions"})

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if old is not None or new is None or (plural == "kubernetesexecutions" and is_rehearsal(new)):
            return
        name = self._remediation(plural, new)
        request = self.facts.get("remediationrequests", name)
        if request is None or request["spec"]["target"].get("namespace") != "production":
            return
        if not any(self._is_yes(each) for each in self.facts.of_remediation("aiapprovalrequests", name)):
            self.broken(f"nothing without approval: {new['metadata']['name']} began for {name}, whose target is in production")

    def _remediation(self, plural: str, new: Obj) -> str:
        if plural == "kubernetesexecutions":
            return str(new["spec"]["remediationRequestRef"]["name"])
        execution = self.facts.get("workflowexecutions", new["metadata"]["labels"][WORKFLOW_EXECUTION_LABEL])
        return str(execution["spec"]["remediationRequestRef"]["name"]) if execution else ""

    def _is_yes(self, question: Obj) -> bool:
        status = question.get("status") or {}
        return status.get("decision") == "Approved" and not status.get("voidedAt")


class Locked(Law):
    """A run is made only by who holds its target's lock; what has ended holds none."""

    plurals = frozenset({"pipelineruns", "workflowexecutions", "leases"})

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if plural == "pipelineruns" and old is None and new is not None:
            self._begun(new)
        if plural == "workflowexecutions" and new is None and old is not None:
            self._left(old)

    def _begun(self, run: Obj) -> None:
        holder = run["metadata"]["labels"][WORKFLOW_EXECUTION_LABEL]
        target = run["metadata"]["annotations"][TARGET_RESOURCE_ANNOTATION]
        held = [
            self._holder(each)
            for each in self._locks()
            if each["metadata"].get("annotations", {}).get(TARGET_RESOURCE_ANNOTATION) == target
        ]
        if held != [holder]:
            self.broken(f"a run needs its target's lock: {holder} began while {held or 'nobody'} holds {target}")

    def _left(self, execution: Obj) -> None:
        name = execution["metadata"]["name"]
        if any(self._holder(each) == name for each in self._locks()):
            self.broken(f"what is gone holds no lock: {name}")
        for run in self.facts.all("pipelineruns"):
            labels = run["metadata"].get("labels") or {}
            if labels.get(WORKFLOW_EXECUTION_LABEL) == name and labels.get(SOURCE_NAMESPACE_LABEL) and not run_is_over(run):
                self.broken(f"what is gone runs nothing: {name} went while its run is at work")

    def _locks(self) -> list[Obj]:
        return [each for each in self.facts.all("leases") if each["metadata"]["name"].startswith("target-")]

    def _holder(self, lease: Obj) -> str:
        return str((lease.get("spec") or {}).get("holderIdentity") or "").partition("/")[0]

    def at_rest(self) -> None:
        if held := [self._holder(each) for each in self._locks()]:
            self.broken(f"no lock stays: {held}")


class CooledDown(Law):
    """After a completed workflow its target rests before the same one runs again; a case that a person deletes is forgotten."""

    plurals = frozenset({"pipelineruns", "workflowexecutions", "remediationrequests"})

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._ended: dict[tuple[str, str], datetime] = {}
        self._fixes: dict[tuple[str, str], str] = {}

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if plural == "remediationrequests":
            self._forget(new or old or {})
        elif new is None:
            return
        elif plural == "workflowexecutions":
            self._note(new)
        elif old is None:
            self._judge(new)

    def _forget(self, request: Obj) -> None:
        if request["metadata"].get("deletionTimestamp"):
            for key in [key for key, name in self._fixes.items() if name == request["metadata"]["name"]]:
                self._ended.pop(key)
                self._fixes.pop(key)

    def _note(self, execution: Obj) -> None:
        if execution["metadata"].get("deletionTimestamp"):
            return
        spec, status = execution["spec"], execution.get("status") or {}
        if status.get("phase") == "Completed" and status.get("completionTime") and spec.get("workflowRef"):
            key = spec["targetResource"], spec["workflowRef"]["workflowId"]
            self._fixes[key] = spec["remediationRequestRef"]["name"]
            self._ended[key] = max(
                datetime.fromisoformat(status["completionTime"]), self._ended.get(key, datetime.min.replace(tzinfo=self._zone()))
            )

    def _zone(self):
        return self.facts.around.clock.start.tzinfo

    def _judge(self, run: Obj) -> None:
        execution = self.facts.get("workflowexecutions", run["metadata"]["labels"][WORKFLOW_EXECUTION_LABEL])
        if execution is None:
            return
        key = execution["spec"]["targetResource"], execution["spec"]["workflowRef"]["workflowId"]
        ended, cooldown = self._ended.get(key), self.facts.settings.workflow.cooldown
        now = self.facts.around.clock.now()
        if ended is not None and now < ended + cooldown - SKEW:
            self.broken(
                f"a target rests after a fix: {key[1]} ran on {key[0]} {(now - ended).total_seconds():.0f} s after it had completed"
            )


WORK_LAWS: Final[tuple[type[Law], ...]] = (Held, OneExecution, OneRun, Approved, Locked, CooledDown)
