"""Updates that do not come: a StatefulSet that was told to keep its pods, and a pod of a revision that was taken back."""

from datetime import timedelta
from typing import Final

from kubernaut.analysis.containers import containers_of, live_pods, pod_ready
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded
from kubernaut.analysis.rollouts import Revision, revisions_of
from kubernaut.analysis.snapshot import Snapshot, moment
from kubernaut.api.base import Obj

_LATE: Final = timedelta(minutes=15)
"""An update of which no pod was made for so long was not only begun."""
_UPDATED: Final = frozenset({"StatefulSet", "DaemonSet"})


def update_held_back(snapshot: Snapshot) -> Candidate | None:
    """A changed StatefulSet or DaemonSet keeps all its old pods, as its update strategy says: a partition above them, or OnDelete.

    A partition that lets some pods through is a canary that somebody watches, and no fault.
    """
    top = snapshot.top
    if top is None or top["kind"] not in _UPDATED:
        return None
    strategy, pods, revisions = top["spec"].get("updateStrategy") or {}, live_pods(snapshot), revisions_of(snapshot)
    field, value = _held(strategy, top)
    if not field or not pods or not revisions or any(revisions[0].made(pod) for pod in pods) or not _late(snapshot, revisions[0]):
        return None
    said = (
        evidence(top, field, value, "what keeps the update from its pods"),
        evidence(revisions[0].maker, "revision", revisions[0].number, "the present revision, of which there is no pod"),
    )
    advice = (
        "Delete its pods one after the other, as OnDelete wants it, or change the strategy to RollingUpdate."
        if value == "OnDelete"
        else "Lower the partition step by step, so that the pods above it are updated; or take the change back."
    )
    summary = f"The update of {snapshot.target.path()} is held back: none of its {len(pods)} pods is of its present template."
    return concluded(snapshot, "UpdateHeldBack", summary, 0.8, said, Remedy(advice=advice))


def _held(strategy: Obj, top: Obj) -> tuple[str, str]:
    """Return the field that keeps every pod from an update, and its value; empty where none does."""
    if strategy.get("type") == "OnDelete":
        return "spec.updateStrategy.type", "OnDelete"
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    whole = partition >= int(top["spec"].get("replicas", 1)) > 0
    return ("spec.updateStrategy.rollingUpdate.partition", str(partition)) if whole else ("", "")


def _late(snapshot: Snapshot, revision: Revision) -> bool:
    return revision.created is None or snapshot.at - revision.created >= _LATE


def broken_pod_kept(snapshot: Snapshot) -> Candidate | None:
    """A StatefulSet was put right, and waits for a pod of the revision before, which never gets ready and is not replaced for that.

    Its controller replaces pods in order and only once the one before is ready. The pod is to be deleted: it is made anew from the
    present template. Other pods of the present revision must be ready, else nobody knows whether the template is right now.
    """
    top = snapshot.top
    if top is None or top["kind"] != "StatefulSet" or top["spec"].get("podManagementPolicy") == "Parallel":
        return None
    revisions, pods = revisions_of(snapshot), live_pods(snapshot)
    stuck = [pod for pod in pods if not pod_ready(pod)]
    if len(stuck) != 1 or not revisions or revisions[0].made(stuck[0]) or not _never_ran(stuck[0]):
        return None
    serving, old = [pod for pod in pods if pod_ready(pod) and revisions[0].made(pod)], stuck[0]
    made = moment(old["metadata"].get("creationTimestamp"))
    if not serving or _held(top["spec"].get("updateStrategy") or {}, top)[0] or (made and snapshot.at - made < _LATE):
        return None
    name = old["metadata"]["name"]
    said = (
        evidence(old, "metadata.labels[controller-revision-hash]", _hash(old), "not the present revision of its StatefulSet"),
        evidence(serving[0], "status.conditions[Ready]", "True", "a pod of the present revision is ready"),
    )
    facts = {"pod.uid": str(old["metadata"].get("uid") or "")}
    remedy = Remedy(advice=f"Delete pod {name}: it is made anew from the present template.", action="RestartPod", target=old, facts=facts)
    summary = f"{snapshot.target.path()} waits for pod {name} of an older revision, which cannot get ready and is not replaced for that."
    return concluded(snapshot, "BrokenPodKept", summary, 0.82, said, remedy, pods=[old])


def _never_ran(pod: Obj) -> bool:
    """Tell whether no container of a pod is up."""
    return not any("running" in (row.status.get("state") or {}) for row in containers_of(pod) if not row.init)


def _hash(pod: Obj) -> str:
    return str((pod["metadata"].get("labels") or {}).get("controller-revision-hash", ""))


_BEFORE = frozenset({"ImageNotFound", "ImagePullFailing", "ImagePullDenied", "ConfigMapMissing", "SecretMissing", "ConfigurationInvalid"})
"""What brought the pod down that is kept; the template names it no more."""
RULES = (
    Rule("UpdateHeldBack", update_held_back),
    Rule("BrokenPodKept", broken_pod_kept, explains=SYMPTOMS | _BEFORE),
)
