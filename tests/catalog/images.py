"""Images that are no good bundles, made by hand layer by layer."""

import gzip
import io
import tarfile

from kubernaut.catalog.bundle import MANIFEST, Image, as_json, digest_of

NOTES = {"dev.tekton.image.apiVersion": "v1", "dev.tekton.image.kind": "pipeline", "dev.tekton.image.name": "workflow"}
PIPELINE = b'{"apiVersion":"tekton.dev/v1","kind":"Pipeline","metadata":{"name":"workflow"},"spec":{}}'


def layer(*files: bytes) -> bytes:
    """Return a gzip of a tar with these files."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for number, data in enumerate(files):
            entry = tarfile.TarInfo(f"file-{number}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


def image(*layers, **changes) -> Image:
    """Return an image of layers, each its bytes or those and its annotations; `changes` go into the manifest."""
    rows = [each if isinstance(each, tuple) else (each, NOTES) for each in layers]
    config = b"{}"
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/json", "digest": digest_of(config), "size": 2},
            "layers": [{"digest": digest_of(data), "size": len(data), "annotations": notes} for data, notes in rows],
            **changes,
        }
    )
    return Image(digest_of(manifest), len(manifest), {digest_of(each): each for each in (config, manifest, *(data for data, _ in rows))})
