"""What HolmesGPT may choose from: workflows of the catalogue, each with its one target and the facts that the cluster shows.

Made from fields that Kubernetes or the operator writes: no log line, annotation, message or ConfigMap has a part in it. So whatever
a text talks a model into, the target, the set of actions, and every parameter that names something are those of an honest cluster.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kubernaut.analysis.containers import live_pods, pod_ready
from kubernaut.analysis.investigators.base import Question
from kubernaut.analysis.rollouts import last_rollout
from kubernaut.analysis.snapshot import Snapshot, identity
from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.catalog import ANY, CatalogStatus, Parameter, RemediationWorkflow, version_key

LIMIT: Final = 40
"""Choices that are offered."""
_SAID: Final = frozenset({"container", "probe", "service.port"})
_PROPOSED: Final = ".proposed"
_USABLE: Final = frozenset({None, CatalogStatus.ACTIVE})


@dataclass(frozen=True, slots=True)
class Choice:
    """One workflow that could be run, and on what."""

    workflow: RemediationWorkflow
    target: ResourceIdentifier
    facts: Mapping[str, str]
    """What the cluster shows; nobody can say otherwise."""

    @property
    def id(self) -> str:
        """How an answer names it."""
        return self.workflow.spec.workflow_id

    @property
    def open(self) -> list[Parameter]:
        """The parameters that the answer fills: amounts, and which of the target's containers."""
        return [each for each in self.workflow.spec.parameters if _open(each.from_fact) and each.from_fact not in self.facts]


def offers(question: Question, snapshot: Snapshot) -> tuple[Choice, ...]:
    """Return what may be chosen, by workflow id; of several versions the newest."""
    newest: dict[str, RemediationWorkflow] = {}
    for row in sorted(question.catalogue(), key=lambda each: version_key(each.spec.version)):
        if row.status.catalog_status in _USABLE:
            newest[row.spec.workflow_id] = row
    found = (_choice(newest[name], snapshot) for name in sorted(newest))
    return tuple(each for each in found if each is not None)[:LIMIT]


def words(catalogue: Iterable[RemediationWorkflow]) -> frozenset[str]:
    """Return the names by which workflows and actions are called: no text of a workload has a reason to use them.

    Names that are words of the language, such as `restart`, are left out.
    """
    named = (name for row in catalogue for name in (row.spec.workflow_id, row.spec.action_type))
    return frozenset(name for name in named if "-" in name or sum(char.isupper() for char in name) > 1)


def _choice(workflow: RemediationWorkflow, snapshot: Snapshot) -> Choice | None:
    target = next(_targets(workflow.spec.labels.component, snapshot), None)
    if target is None:
        return None
    choice = Choice(workflow, identity(target), _facts(target, snapshot))
    unknown = [row for row in workflow.spec.parameters if row.from_fact and row.from_fact not in choice.facts and not _open(row.from_fact)]
    nameless = [row for row in workflow.spec.parameters if not row.from_fact and row.required and row.default is None]
    return None if unknown or nameless else choice


def _open(fact: str) -> bool:
    return fact in _SAID or fact.endswith(_PROPOSED)


def _targets(components: Iterable[str], snapshot: Snapshot) -> Iterator[Obj]:
    """Yield the objects that a workflow for these kinds could act on: the signal's owners from the top down, then what is tied to them."""
    wanted = {each.casefold() for each in components}
    for obj in _within(snapshot):
        if obj["kind"].casefold() in wanted or ANY in wanted:
            yield obj


def _within(snapshot: Snapshot) -> Iterator[Obj]:
    yield from reversed(snapshot.chain)
    yield from (pod for pod in live_pods(snapshot) if not pod_ready(pod))
    labels = (snapshot.template.get("metadata") or {}).get("labels") or {}
    yield from (obj for obj in snapshot.of("Service") if _selects(obj["spec"].get("selector"), labels))
    yield from (
        obj for obj in snapshot.of("PodDisruptionBudget") if _selects((obj["spec"].get("selector") or {}).get("matchLabels"), labels)
    )
    yield from (obj for obj in snapshot.of("HorizontalPodAutoscaler") if _scales(obj, snapshot.top))


def _selects(selector: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
    return bool(selector) and all(labels.get(key) == value for key, value in (selector or {}).items())


def _scales(scaler: Obj, top: Obj | None) -> bool:
    ref = scaler["spec"].get("scaleTargetRef") or {}
    return top is not None and (ref.get("kind"), ref.get("name")) == (top["kind"], top["metadata"]["name"])


def _facts(target: Obj, snapshot: Snapshot) -> dict[str, str]:
    meta, found = target["metadata"], identity(target)
    facts = {"target.namespace": found.namespace, "target.name": found.name, "target.kind": found.kind}
    if found.kind in {"Pod", "Job"}:
        facts[f"{found.kind.casefold()}.uid"] = str(meta.get("uid", ""))
    rollout = last_rollout(snapshot)
    if rollout is not None and found.kind == "Deployment":
        facts["rollout.revision.previous"] = str(rollout.previous.number)
        facts["rollout.revision.current"] = str(rollout.current.number)
    names = containers(snapshot)
    return facts | ({"container": names[0]} if len(names) == 1 else {})


def containers(snapshot: Snapshot) -> list[str]:
    """Return the names of the containers of the target's pods."""
    spec = snapshot.template.get("spec") or {}
    return [str(row["name"]) for row in spec.get("containers") or ()]
