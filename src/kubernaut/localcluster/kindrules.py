"""What the server sets by itself in new objects of certain built-in kinds."""

import base64

from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import Obj


def at_create(kind: ResourceKind, obj: Obj) -> None:
    """Set what only a new object gets."""
    if kind.resource == "namespaces":
        meta = obj["metadata"]
        meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta.get("name", "")}
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}


def at_write(kind: ResourceKind, obj: Obj) -> None:
    """Set what every write settles: a Secret's stringData becomes data."""
    if kind.resource == "secrets" and isinstance(plain := obj.pop("stringData", None), dict):
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}
