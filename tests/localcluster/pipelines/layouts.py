"""Writes bundles into OCI image layout directories, good ones and broken ones."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Obj = dict[str, Any]


@dataclass(frozen=True)
class Layer:
    """One object of a bundle; what is given by hand replaces what would be right."""

    object: Obj
    raw: bool = False
    content: bytes = b""
    annotations: dict[str, str] | None = field(default=None)

    def notes(self) -> dict[str, str]:
        """Return the layer's annotations."""
        if self.annotations is not None:
            return self.annotations
        meta = {"name": self.object["metadata"]["name"], "kind": self.object["kind"].lower(), "apiVersion": self.object["apiVersion"]}
        return {f"dev.tekton.image.{key}": value for key, value in meta.items()}

    def blob(self) -> bytes:
        """Return the compressed layer."""
        data = self.content or json.dumps(self.object).encode()
        return gzip.compress(data if self.raw else _tar(data), mtime=0)


def _tar(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("object")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def write_bundle(layout: Path, name: str, layers: Sequence[Layer]) -> str:
    """Add a bundle to a layout under a reference name; return the manifest's digest."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    rows = [{**_put(blobs, layer.blob()), "annotations": layer.notes()} for layer in layers]
    manifest = {"schemaVersion": 2, "config": _put(blobs, b"{}"), "layers": rows}
    row = {**_put(blobs, json.dumps(manifest).encode()), "annotations": {"org.opencontainers.image.ref.name": name}}
    index = layout / "index.json"
    manifests = json.loads(index.read_text())["manifests"] if index.exists() else []
    index.write_text(json.dumps({"schemaVersion": 2, "manifests": [*manifests, row]}))
    return str(row["digest"])


def _put(blobs: Path, data: bytes) -> Obj:
    name = hashlib.sha256(data).hexdigest()
    (blobs / name).write_bytes(data)
    return {"mediaType": "application/octet-stream", "digest": f"sha256:{name}", "size": len(data)}
