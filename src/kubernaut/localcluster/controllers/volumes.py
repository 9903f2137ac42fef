"""PersistentVolumeClaims: bound to a volume that fits, or to one made by the claim's storage class; grown where that lets them."""

from collections.abc import Iterable, Sequence
from typing import Final

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.loop import Key, Loop, key_of
from kubernaut.localcluster.controllers.meta import dying, own_key, uid_of
from kubernaut.localcluster.controllers.recorder import NORMAL, WARNING, Recorder
from kubernaut.localcluster.controllers.settings import StandInSettings
from kubernaut.localcluster.quantity import parse as quantity

__all__ = ["Volumes", "fitting"]

_DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"
_NO_CLASS: Final = "no persistent volumes available for this claim and no storage class is set"


def fitting(claim: Obj, volumes: Iterable[Obj]) -> Obj | None:
    """Return the smallest free volume that satisfies a claim, or the one already kept for it."""
    kept = [volume for volume in volumes if (volume["spec"].get("claimRef") or {}).get("uid") == uid_of(claim)]
    free = [volume for volume in volumes if not volume["spec"].get("claimRef") and _fits(claim, volume)]
    return next(iter(kept), None) or min(free, key=_size, default=None)


def _size(obj: Obj) -> float:
    return float(quantity(obj["spec"]["capacity"]["storage"]))


def _asked(claim: Obj) -> float:
    return float(quantity(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0")))


def _fits(claim: Obj, volume: Obj) -> bool:
    spec = claim["spec"]
    same_class = (spec.get("storageClassName") or "") == (volume["spec"].get("storageClassName") or "")
    modes = set(spec.get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ())
    return (
        same_class
        and modes
        and _size(volume) >= _asked(claim)
        and spec.get("volumeName", volume["metadata"]["name"]) == volume["metadata"]["name"]
    )


class Volumes:
    """The stand-in for kube-controller-manager's volume binder and for a dynamic provisioner."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        api = api.acting_as("kube-controller-manager")
        self._loop = Loop(api, "volumes", self._reconcile, settings.rng, workers=1)
        self._events = Recorder(api, "persistentvolume-controller", settings.clock)
        self._claims = self._loop.store(api.kind("", "persistentvolumeclaims"), own_key)
        self._volumes = self._loop.store(api.kind("", "persistentvolumes"), self._everyone)
        self._classes = self._loop.store(api.kind("storage.k8s.io", "storageclasses"), self._everyone)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    def _everyone(self, _obj: Obj) -> Iterable[Key]:
        return [key_of(claim) for claim in self._claims.all()]

    async def _reconcile(self, key: Key) -> float | None:
        claim = self._claims.get(key)
        if claim is None or dying(claim):
            return None
        if (claim.get("status") or {}).get("phase") == "Bound":
            await self._expand(claim)
            return None
        claim = await self._with_class(claim)
        volume = fitting(claim, self._volumes.all()) or await self._provision(claim)
        if volume is None:
            await self._wait(claim)
        else:
            await self._bind(claim, volume)
        return None

    async def _expand(self, claim: Obj) -> None:
        """Give a bound claim what it asks for by now, where its class lets volumes grow."""
        row = self._classes.get(Key("", claim["spec"].get("storageClassName") or ""))
        volume = self._volumes.get(Key("", claim["spec"].get("volumeName", "")))
        held = float(quantity((claim["status"].get("capacity") or {}).get("storage", "0")))
        if row is None or volume is None or not row.get("allowVolumeExpansion") or _asked(claim) <= held:
            return
        capacity = {"storage": claim["spec"]["resources"]["requests"]["storage"]}
        await self._volumes.patch(volume, {"spec": {"capacity": capacity}})
        await self._claims.patch(claim, {"status": {"capacity": capacity}}, "status")
        await self._events.tell(self._claims.kind, claim, NORMAL, "FileSystemResizeSuccessful", "MountVolume.NodeExpandVolume succeeded")

    async def _with_class(self, claim: Obj) -> Obj:
        if "storageClassName" in claim["spec"]:
            return claim
        chosen = [row for row in self._classes.all() if (row["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"]
        if not chosen:
            return claim
        return await self._claims.patch(claim, {"spec": {"storageClassName": _newest(chosen)["metadata"]["name"]}})

    async def _provision(self, claim: Obj) -> Obj | None:
        class_name = claim["spec"].get("storageClassName") or ""
        row = self._classes.get(Key("", class_name)) if class_name else None
        if row is None:
            return None
        volume = await self._volumes.create(_volume(claim, row))
        message = f"Successfully provisioned volume {volume['metadata']['name']}"
        await self._events.tell(self._claims.kind, claim, NORMAL, "ProvisioningSucceeded", message)
        return volume

    async def _wait(self, claim: Obj) -> None:
        class_name = claim["spec"].get("storageClassName") or ""
        if class_name:
            message = f'storageclass.storage.k8s.io "{class_name}" not found'
            await self._events.tell(self._claims.kind, claim, WARNING, "ProvisioningFailed", message)
        else:
            await self._events.tell(self._claims.kind, claim, NORMAL, "FailedBinding", _NO_CLASS)
        if "phase" not in (claim.get("status") or {}):
            await self._claims.patch(claim, {"status": {"phase": "Pending"}}, "status")

    async def _bind(self, claim: Obj, volume: Obj) -> None:
        if not volume["spec"].get("claimRef"):
            volume = await self._volumes.patch(volume, {"spec": {"claimRef": _claim_ref(claim)}})
        if (volume.get("status") or {}).get("phase") != "Bound":
            await self._volumes.patch(volume, {"status": {"phase": "Bound"}}, "status")
        if claim["spec"].get("volumeName") != volume["metadata"]["name"]:
            claim = await self._claims.patch(claim, {"spec": {"volumeName": volume["metadata"]["name"]}})
        spec = volume["spec"]
        status = {"phase": "Bound", "accessModes": spec.get("accessModes"), "capacity": spec["capacity"]}
        await self._claims.patch(claim, {"status": status}, "status")


def _newest(rows: Sequence[Obj]) -> Obj:
    return max(rows, key=lambda row: (row["metadata"]["creationTimestamp"], row["metadata"]["name"]))


def _claim_ref(claim: Obj) -> Obj:
    meta = claim["metadata"]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}


def _volume(claim: Obj, row: Obj) -> Obj:
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    name = f"pvc-{uid_of(claim)}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": row.get("provisioner", "")}},
        "spec": {
            "capacity": {"storage": requests.get("storage", "1Gi")},
            "accessModes": claim["spec"].get("accessModes") or ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": row.get("reclaimPolicy", "Delete"),
            "storageClassName": row["metadata"]["name"],
            "claimRef": _claim_ref(claim),
            "hostPath": {"path": f"/var/lib/volumes/{name}"},
        },
    }
