"""Namespaces: what each is furnished with while it lives, and how it is emptied when it goes."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from kubernaut.localcluster.api import Api, Obj, ResourceKind
from kubernaut.localcluster.controllers.gc import collectable_kinds
from kubernaut.localcluster.controllers.loop import Key, Loop
from kubernaut.localcluster.controllers.meta import dying, own_key, replaced
from kubernaut.localcluster.controllers.moments import stamp
from kubernaut.localcluster.controllers.settings import StandInSettings
from kubernaut.localcluster.errors import ApiError

__all__ = ["Namespaces"]

FINALIZER: Final = "kubernetes"
_AGAIN_SECONDS: Final = 0.25
_NOT_FOUND, _CONFLICT = 404, 409
_ROOT_CA: Final = "kube-root-ca.crt"
_DESCRIPTION: Final = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or "
    "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)


def _namespace_key(obj: Obj) -> Iterable[Key]:
    return (Key("", obj["metadata"]["namespace"]),)


class Namespaces:
    """The stand-in for kube-controller-manager's namespace, service account and root certificate controllers."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        self._api = api.acting_as("kube-controller-manager")
        self._settings = settings
        self._loop = Loop(self._api, "namespaces", self._reconcile, settings.rng)
        self._namespaces = self._loop.store(api.kind("", "namespaces"), own_key)
        self._accounts = self._loop.store(api.kind("", "serviceaccounts"), _namespace_key)
        self._configs = self._loop.store(api.kind("", "configmaps"), _namespace_key)
        self._definitions = self._loop.store(api.kind("apiextensions.k8s.io", "customresourcedefinitions"), lambda _: ())

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    async def _reconcile(self, key: Key) -> float | None:
        namespace = self._namespaces.get(key)
        if namespace is None:
            return None
        if dying(namespace):
            return await self._empty(namespace)
        await self._furnish(key.name)
        return None

    async def _furnish(self, namespace: str) -> None:
        if self._accounts.get(Key(namespace, "default")) is None:
            await self._accounts.create(
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}}
            )
        held = self._configs.get(Key(namespace, _ROOT_CA))
        data, told = {"ca.crt": self._settings.ca_certificate}, {"kubernetes.io/description": _DESCRIPTION}
        if held is None:
            meta = {"name": _ROOT_CA, "namespace": namespace, "annotations": told}
            await self._configs.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
        elif held.get("data") != data or not told.items() <= (held["metadata"].get("annotations") or {}).items():
            annotations = {**(held["metadata"].get("annotations") or {}), **told}
            await self._configs.update({**held, "metadata": {**held["metadata"], "annotations": annotations}, "data": data})

    async def _empty(self, namespace: Obj) -> float | None:
        name = namespace["metadata"]["name"]
        left: dict[str, int] = {}
        finalizers: Counter[str] = Counter()
        for kind in self._kinds():
            objects = await self._clear(kind, name)
            if objects:
                left[f"{kind.plural}.{kind.group}"] = len(objects)
                finalizers.update(finalizer for obj in objects for finalizer in obj["metadata"].get("finalizers") or ())
        if left:
            await self._report(namespace, left, finalizers)
            return _AGAIN_SECONDS
        await self._finalize(namespace)
        return None

    def _kinds(self) -> list[ResourceKind]:
        kinds = [kind for kind in collectable_kinds() if kind.namespaced] + [self._api.kind("", "events")]
        for definition in self._definitions.all():
            kinds += self._custom(definition)
        return kinds

    def _custom(self, definition: Obj) -> list[ResourceKind]:
        spec = definition["spec"]
        try:
            kind = self._api.kind(spec["group"], spec["names"]["plural"])
        except ApiError:  # defined, but not served (yet): it holds nothing
            return []
        return [kind] if kind.namespaced else []

    async def _clear(self, kind: ResourceKind, namespace: str) -> list[Obj]:
        """Delete what is there and return what is left."""
        for obj in await self._api.list(kind, namespace):
            if not dying(obj):
                await self._delete(kind, obj)
        return await self._api.list(kind, namespace)

    async def _delete(self, kind: ResourceKind, obj: Obj) -> None:
        meta = obj["metadata"]
        try:
            await self._api.delete(kind, meta["name"], meta["namespace"], uid=meta["uid"], propagation="Background")
        except ApiError as error:
            if error.code not in {_NOT_FOUND, _CONFLICT}:
                raise

    async def _report(self, namespace: Obj, left: dict[str, int], finalizers: Counter[str]) -> None:
        status = namespace.get("status") or {}
        rows = status.get("conditions") or []
        for row in _conditions(left, finalizers, self._settings.clock()):
            rows = _said(rows, row)
        if rows != status.get("conditions"):
            await self._namespaces.update({**namespace, "status": {**status, "phase": "Terminating", "conditions": rows}}, "status")

    async def _finalize(self, namespace: Obj) -> None:
        finalizers = (namespace.get("spec") or {}).get("finalizers") or []
        kept = [finalizer for finalizer in finalizers if finalizer != FINALIZER]
        if kept == finalizers:
            return
        await self._api.update(self._namespaces.kind, {**namespace, "spec": {**namespace["spec"], "finalizers": kept}}, "finalize")


def _said(rows: list[Obj], new: Obj) -> list[Obj]:
    # unlike elsewhere the message counts too: it tells how much is left
    renewed = replaced(rows, new)
    return [{**row, "message": new["message"]} if row["type"] == new["type"] else row for row in renewed]


def _conditions(left: dict[str, int], finalizers: Counter[str], now: datetime) -> list[Obj]:
    resources = ", ".join(sorted(f"{resource} has {count} resource instances" for resource, count in left.items()))
    held = ", ".join(sorted(f"{name} in {count} resource instances" for name, count in finalizers.items()))
    told = [
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
        ("NamespaceDeletionContentFailure", "False", "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        ("NamespaceContentRemaining", "True", "SomeResourcesRemain", f"Some resources are remaining: {resources}"),
        ("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {held}")
        if held
        else ("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
    ]
    since = stamp(now)
    return [
        {"type": type_, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}
        for type_, status, reason, message in told
    ]
