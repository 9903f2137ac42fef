"""Applies objects of files to a cluster: what others need first, owners before what they own, and each one's status after it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

from kubernaut.api import core
from kubernaut.api.base import Kind, Obj
from kubernaut.cli.documents import Document, read_all
from kubernaut.cli.resources import Served, discover
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError

MANAGER: Final = "kubernaut-load"
_FIRST: Final = ("Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "ServiceAccount")
_LAST: Final = (
    "LimitRange",
    "ResourceQuota",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "ValidatingAdmissionPolicyBinding",
)
"""What would change or refuse the objects that come after it."""
_OWN_STATUS: Final = {core.NAMESPACE, core.CUSTOM_RESOURCE_DEFINITION}
"""Kinds whose status the API server itself writes."""
_GIVEN_ANEW: Final = {"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"}


async def load_all(kubeconfig: Path, paths: Sequence[Path], namespace: str, say: Callable[[str], None]) -> int:
    """Apply all objects, telling each; return 1 where some were refused; raise Unusable, before any, for a file at fault."""
    documents = in_order(read_all(paths))
    client = Client.from_kubeconfig(str(kubeconfig))
    loader = _Loader(client, namespace)
    refused = 0
    try:
        for document in documents:
            try:
                say(await loader.load(document))
            except (ApiError, LookupError) as error:
                refused += 1
                say(f"{document.place}: {_name(document.obj)}: {error}")
    finally:
        await client.close()
    say(f"{len(documents) - refused} loaded" + (f", {refused} refused" if refused else ""))
    return 1 if refused else 0


def in_order(documents: Sequence[Document]) -> list[Document]:
    """Return documents so that what others need comes first, and owners before what they own."""
    by_uid = {document.obj["metadata"].get("uid"): index for index, document in enumerate(documents)}
    graph = {index: [by_uid[uid] for uid in _owners(document.obj) if uid in by_uid] for index, document in enumerate(documents)}
    try:
        owned = list(TopologicalSorter(graph).static_order())
    except CycleError:
        owned = list(graph)
    ranks = {kind: rank - len(_FIRST) for rank, kind in enumerate(_FIRST)} | {kind: rank for rank, kind in enumerate(_LAST, 1)}
    return sorted((documents[index] for index in owned), key=lambda document: ranks.get(document.obj["kind"], 0))


def _owners(obj: Obj) -> list[str]:
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or () if "uid" in owner]


@dataclass
class _Loader:
    """One load: what the cluster serves, and which uids it gave in place of those in the files."""

    client: Client
    namespace: str
    served: Mapping[tuple[str, str], Served] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)

    async def load(self, document: Document) -> str:
        """Apply an object and its status; return a line that says so. Raises ApiError, LookupError for a kind that is not served."""
        served = await self._served(document.obj)
        wanted = self._wanted(served.kind, document.obj)
        stored = await self.client.apply(served.kind, wanted, manager=MANAGER, force=True)
        if uid := document.obj["metadata"].get("uid"):
            self.uids[uid] = stored["metadata"]["uid"]
        status = document.obj.get("status")
        if status and served.has_status and served.kind not in _OWN_STATUS and not await self._told(served.kind, stored, status):
            return f"{_name(stored)} loaded, and deleted since by its controller"
        return f"{_name(stored)} loaded"

    async def _told(self, kind: Kind, stored: Obj, status: Obj) -> bool:
        """Write a status; return False where the object is gone, as a controller that has enough of its kind sees to at once."""
        meta = stored["metadata"]
        try:
            await self.client.patch(kind, meta["name"], meta.get("namespace", ""), {"status": status}, subresource="status")
        except ApiError as error:
            if not error.not_found or not any(owner.get("controller") for owner in meta.get("ownerReferences") or ()):
                raise
            return False
        return True

    async def _served(self, obj: Obj) -> Served:
        key = (obj["apiVersion"], obj["kind"])
        if key not in self.served:
            self.served = await discover(self.client)  # a definition before this object may have brought it
        if key not in self.served:
            raise LookupError(f"{obj['kind']} of {obj['apiVersion']} is not served here: load its CustomResourceDefinition too")
        return self.served[key]

    def _wanted(self, kind: Kind, obj: Obj) -> Obj:
        meta = {key: value for key, value in obj["metadata"].items() if key not in _GIVEN_ANEW}
        if kind.namespaced:
            meta.setdefault("namespace", self.namespace)
        if owners := meta.get("ownerReferences"):
            meta["ownerReferences"] = [{**owner, "uid": self.uids.get(owner.get("uid"), owner.get("uid"))} for owner in owners]
        return {key: value for key, value in obj.items() if key not in {"status", "metadata"}} | {"metadata": meta}


def _name(obj: Obj) -> str:
    meta = obj["metadata"]
    where = f"{meta['namespace']}/" if meta.get("namespace") else ""
    return f"{obj['kind']} {where}{meta['name']}"
