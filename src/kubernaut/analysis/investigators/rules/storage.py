"""Storage: claims that get no volume, volumes that are full or lost; followed from the pods to claim, class and volume."""

import re
from collections.abc import Iterator

from kubernaut.analysis.containers import Container, condition, judged_pods, pod_ready
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.crashes import Crash, crashes, last_words, spoken
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence
from kubernaut.analysis.investigators.rules.memory import memory_text
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded, regression
from kubernaut.analysis.leads import claims_of
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj
from kubernaut.api.quantity import parse_quantity

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_CLASS_MISSING = re.compile(r'storageclass\.storage\.k8s\.io "(?P<name>[^"]+)" not found')
_FULL = re.compile(
    r"no space left on device|\bENOSPC\b|disk quota exceeded|disk (is )?full|not enough (disk )?space|errno:? 28\b|flood.?stage",
    re.IGNORECASE,
)
_GROWTH = 2


def claims(snapshot: Snapshot) -> Iterator[tuple[Obj, list[Obj]]]:
    """Yield the claims that the case is about, with the pods that wait for them: the subject itself, else those of pods that are not up."""
    top = snapshot.top
    if top is not None and top["kind"] == "PersistentVolumeClaim":
        yield top, []
        return
    pods = [pod for pod in judged_pods(snapshot) if not pod_ready(pod)]
    for claim in snapshot.of("PersistentVolumeClaim"):
        users = [pod for pod in pods if claim["metadata"]["name"] in claims_of(pod)]
        if users:
            yield claim, users


def pending(snapshot: Snapshot) -> Iterator[tuple[Obj, list[Obj]]]:
    """Yield the claims that have no volume."""
    return ((claim, pods) for claim, pods in claims(snapshot) if (claim.get("status") or {}).get("phase") == "Pending")


def storage_class_missing(snapshot: Snapshot) -> Candidate | None:
    """A claim names a StorageClass that does not exist: no volume is ever made for it."""
    for claim, pods in pending(snapshot):
        name = str(claim["spec"].get("storageClassName") or "")
        told = next((event for event in snapshot.events_about(claim, "ProvisioningFailed") if _CLASS_MISSING.search(_words(event))), None)
        absent = bool(name) and snapshot.knows("StorageClass") and snapshot.named("StorageClass", name) is None
        if name and (absent or (told is not None and not snapshot.named("StorageClass", name))) and not _fitting(snapshot, claim):
            said = [evidence(claim, "spec.storageClassName", name, "no StorageClass of that name exists")]
            said += [evidence(told, "message", _words(told), "what the volume controller says")] if told else []
            known = ", ".join(each["metadata"]["name"] for each in snapshot.of("StorageClass")[:8]) or "none"
            advice = f"Create the StorageClass {name}, or make the claim anew with one that exists ({known})."
            summary = f"Claim {claim['metadata']['name']} gets no volume: its StorageClass {name} does not exist."
            return concluded(
                snapshot, "StorageClassMissing", summary, 0.9 if told else 0.82, said, Remedy(advice=advice, target=claim), pods=pods
            )
    return None


def no_default_class(snapshot: Snapshot) -> Candidate | None:
    """A claim names no StorageClass, the cluster has no default one, and no volume that was made by hand fits."""
    for claim, pods in pending(snapshot):
        classes = snapshot.of("StorageClass")
        default = any((each["metadata"].get("annotations") or {}).get(_DEFAULT) == "true" for each in classes)
        named = claim["spec"].get("storageClassName")
        if named is None and snapshot.knows("StorageClass") and not default and not _fitting(snapshot, claim):
            said = [evidence(claim, "spec.storageClassName", "absent", "the claim names no class, and no class is the default")]
            said += [evidence(event, "message", _words(event), "what the volume controller says") for event in _told(snapshot, claim)]
            summary = f"Claim {claim['metadata']['name']} gets no volume: it names no StorageClass, and the cluster has no default one."
            remedy = Remedy(advice="Mark a StorageClass as default and make the claim anew, or name one in it.", target=claim)
            return concluded(snapshot, "NoDefaultStorageClass", summary, 0.85, said, remedy, pods=pods)
    return None


def volume_taken(snapshot: Snapshot) -> Candidate | None:
    """A claim asks for one volume by its name, and that volume belongs to another claim, or once did: the two are never bound."""
    for claim, pods in pending(snapshot):
        name = str(claim["spec"].get("volumeName") or "")
        volume = snapshot.named("PersistentVolume", name) if name else None
        holder = ((volume or {}).get("spec") or {}).get("claimRef") or {}
        meta = claim["metadata"]
        same = (holder.get("namespace"), holder.get("name")) == (meta.get("namespace"), meta["name"])
        if volume is None or not holder or (same and holder.get("uid") in {None, meta.get("uid")}):
            continue
        phase, whose = (volume.get("status") or {}).get("phase", ""), f"{holder.get('namespace')}/{holder.get('name')}"
        said = [
            evidence(claim, "spec.volumeName", name, "the one volume that it asks for"),
            evidence(volume, "spec.claimRef", whose, f"the claim that has it; the volume is {phase}"),
            *(evidence(event, "message", _words(event), "what the volume controller says") for event in _told(snapshot, claim)),
        ]
        advice = f"Ask for another volume; or, where claim {whose} is gone for good, take claimRef off volume {name}: its data stay on it."
        summary = f"Claim {meta['name']} gets no volume: it asks for {name}, which belongs to claim {whose}."
        return concluded(snapshot, "VolumeTaken", summary, 0.84, said, Remedy(advice=advice, target=claim), pods=pods)
    return None


def reclaim_failed(snapshot: Snapshot) -> Candidate | None:
    """A volume whose claim is gone could not be deleted or made ready for another: its driver says why. No workload uses it."""
    top = snapshot.top
    if top is None or top["kind"] != "PersistentVolume" or (top.get("status") or {}).get("phase") != "Failed":
        return None
    told = next(iter(snapshot.events_about(top, "VolumeFailedDelete", "VolumeFailedRecycle")), None)
    words = _words(told) if told else str((top.get("status") or {}).get("message") or "")
    said = (
        evidence(top, "status.phase", "Failed", "it was given up by its claim and could not be reclaimed"),
        evidence(told or top, "message" if told else "status.message", words, "why its driver cannot"),
    )
    policy = top["spec"].get("persistentVolumeReclaimPolicy", "Delete")
    advice = f"Read the driver's message; reclaim policy {policy} removes the data, so make sure that nobody wants them before you help it."
    summary = f"Volume {top['metadata']['name']} cannot be reclaimed: its driver fails."
    return concluded(snapshot, "VolumeReclaimFailed", summary, 0.84, said, Remedy(advice=advice, target=top))


def provisioning_failed(snapshot: Snapshot) -> Candidate | None:
    """The provisioner of the claim's StorageClass tries to make a volume and fails: its words say why."""
    for claim, pods in pending(snapshot):
        found = [event for event in _told(snapshot, claim) if not _CLASS_MISSING.search(_words(event))]
        made = snapshot.named("StorageClass", str(claim["spec"].get("storageClassName") or ""))
        if found and made and not claim["spec"].get("volumeName"):
            said = [evidence(found[0], "message", _words(found[0]), "why the provisioner makes no volume")]
            summary = f"Claim {claim['metadata']['name']} gets no volume: the provisioner of its StorageClass fails."
            remedy = Remedy(advice="Read the provisioner's message: quota of the storage, its parameters, or its own pods.", target=claim)
            return concluded(snapshot, "ProvisioningFailed", summary, 0.82, said, remedy, pods=pods)
    return None


def _told(snapshot: Snapshot, claim: Obj) -> list[Obj]:
    return list(snapshot.events_about(claim, "ProvisioningFailed", "FailedBinding"))[:1]


def _words(event: Obj) -> str:
    return str(event.get("message") or "")


def _fitting(snapshot: Snapshot, claim: Obj) -> bool:
    """Tell whether a volume made by hand waits for such a claim."""
    wanted = claim["spec"].get("storageClassName") or ""
    free = (each for each in snapshot.of("PersistentVolume") if (each.get("status") or {}).get("phase") == "Available")
    return any((each["spec"].get("storageClassName") or "") == wanted for each in free)


def claim_missing(snapshot: Snapshot) -> Candidate | None:
    """A pod mounts a PersistentVolumeClaim that does not exist: the scheduler says so, or the claim is not among those of the namespace."""
    for pod in judged_pods(snapshot):
        message = str(condition(pod, "PodScheduled").get("message") or "")
        names = [name for name in claims_of(pod) if _absent(snapshot, name, message)]
        if not names or pod["spec"].get("nodeName"):
            continue
        told = f'persistentvolumeclaim "{names[0]}" not found' in message
        said = [evidence(pod, "spec.volumes[*].persistentVolumeClaim", names[0], "the pod mounts it, and it does not exist")]
        said += [evidence(pod, "status.conditions[PodScheduled].message", message, "what the scheduler says")] if told else []
        back = regression(snapshot, [pod], lambda change: ".volumes" in change.path)
        remedy = Remedy(advice=f"Create the PersistentVolumeClaim {names[0]}, or correct the name.")
        summary = f"Pods of {snapshot.target.path()} mount the claim {names[0]}, which does not exist."
        return concluded(snapshot, "ClaimMissing", summary, 0.88 if told else 0.74, said, remedy, pods=[pod], back=back)
    return None


def _absent(snapshot: Snapshot, name: str, message: str) -> bool:
    known = snapshot.knows("PersistentVolumeClaim")
    there = snapshot.named("PersistentVolumeClaim", name) is not None
    return (known and not there) or (not there and f'persistentvolumeclaim "{name}" not found' in message)


def volume_lost(snapshot: Snapshot) -> Candidate | None:
    """The volume behind a claim is gone: whatever was on it is lost, or must come from a backup."""
    for claim, pods in claims(snapshot):
        if (claim.get("status") or {}).get("phase") == "Lost":
            volume = str(claim["spec"].get("volumeName") or "")
            said = [evidence(claim, "status.phase", "Lost", f"its volume {volume} does not exist any more")]
            summary = f"The volume {volume} behind claim {claim['metadata']['name']} is gone."
            remedy = Remedy(advice="Restore the volume, or make claim and data anew from a backup.", target=claim)
            return concluded(snapshot, "VolumeLost", summary, 0.9, said, remedy, pods=pods)
    return None


def resize_stuck(snapshot: Snapshot) -> Candidate | None:
    """A claim was enlarged, and its volume does not grow: the class forbids it, the driver fails, or the pod must be started anew."""
    for claim, pods in _all_claims(snapshot):
        events = list(snapshot.events_about(claim, "VolumeResizeFailed", "FileSystemResizeFailed", "ExternalExpanding"))
        asked = ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0")
        has = ((claim.get("status") or {}).get("capacity") or {}).get("storage", asked)
        if events and parse_quantity(asked) > parse_quantity(has):
            said = [
                evidence(events[0], "message", _words(events[0]), "why it does not grow"),
                evidence(claim, "status.capacity.storage", f"{has} of {asked}", "what it has, and what is asked for"),
            ]
            summary = f"Claim {claim['metadata']['name']} asks for {asked} and stays at {has}."
            remedy = Remedy(advice="Read the message: the class may not allow it, or its driver fails.", target=claim)
            return concluded(snapshot, "VolumeResizeFailed", summary, 0.82, said, remedy, pods=pods)
    return None


def volume_full(snapshot: Snapshot) -> Candidate | None:
    """A program ends because the volume it writes to is full; a claim whose class can grow is asked for twice as much."""
    for container, ended in _writers(snapshot):
        if not _FULL.search(spoken(ended.message)):
            continue
        held = [claim for claim, _ in _all_claims(snapshot) if _mounted(container, claim["metadata"]["name"])]
        if len(held) == 1:
            return _full(snapshot, held[0], last_words(container, ended), container.pod)
    return None


def _writers(snapshot: Snapshot) -> list[Crash]:
    """Return the crashes of the subject's pods; of those that mount it where it is a claim."""
    behind = [lead.snapshot for lead in snapshot.leads if lead.snapshot] if _is_claim(snapshot) else []
    return [row for each in (snapshot, *behind) for row in crashes(each)]


def _is_claim(snapshot: Snapshot) -> bool:
    return snapshot.top is not None and snapshot.top["kind"] == "PersistentVolumeClaim"


def _full(snapshot: Snapshot, claim: Obj, told: Evidence, pod: Obj) -> Candidate:
    size = str(((claim.get("status") or {}).get("capacity") or claim["spec"]["resources"]["requests"])["storage"])
    kind = snapshot.named("StorageClass", str(claim["spec"].get("storageClassName") or ""))
    grows = bool(kind and kind.get("allowVolumeExpansion"))
    proposed = {"pvc.size.proposed": memory_text(parse_quantity(size) * _GROWTH)} if grows else {}
    said = (told, evidence(claim, "status.capacity.storage", size, "the size of the only claim it writes to"))
    remedy = Remedy(
        advice="Free space on the volume, or ask for a larger one." if grows else "Free space on it: its class does not let it grow.",
        action="ExpandPersistentVolumeClaim" if grows else "",
        target=claim,
        facts={"pvc.size.current": size} | proposed,
    )
    summary = f"The volume of claim {claim['metadata']['name']} ({size}) is full: a program that writes to it ends for that."
    return concluded(snapshot, "VolumeFull", summary, 0.8, said, remedy, pods=[] if _is_claim(snapshot) else [pod])


def _mounted(container: Container, claim: str) -> bool:
    """Tell whether a container may write to a claim."""
    volumes = container.pod["spec"].get("volumes") or ()
    names = {row["name"] for row in volumes if (row.get("persistentVolumeClaim") or {}).get("claimName") == claim}
    return any(row["name"] in names and not row.get("readOnly") for row in container.spec.get("volumeMounts") or ())


def _all_claims(snapshot: Snapshot) -> list[tuple[Obj, list[Obj]]]:
    top = snapshot.top
    if top is not None and top["kind"] == "PersistentVolumeClaim":
        return [(top, [])]
    found = (
        (claim, [pod for pod in snapshot.pods if claim["metadata"]["name"] in claims_of(pod)])
        for claim in snapshot.of("PersistentVolumeClaim")
    )
    return [(claim, pods) for claim, pods in found if pods]


_EXPLAINS = SYMPTOMS | {"ClaimUnbound"}
RULES = (
    Rule("StorageClassMissing", storage_class_missing, explains=_EXPLAINS | {"ProvisioningFailed"}),
    Rule("NoDefaultStorageClass", no_default_class, explains=_EXPLAINS),
    Rule("ProvisioningFailed", provisioning_failed, explains=_EXPLAINS),
    Rule("VolumeTaken", volume_taken, explains=_EXPLAINS | {"ProvisioningFailed"}),
    Rule("VolumeReclaimFailed", reclaim_failed),
    Rule("ClaimMissing", claim_missing, explains=_EXPLAINS),
    Rule("VolumeLost", volume_lost, explains=_EXPLAINS),
    Rule("VolumeResizeFailed", resize_stuck, explains=_EXPLAINS | {"VolumeFull"}),
    Rule("VolumeFull", volume_full, explains=_EXPLAINS),
)
