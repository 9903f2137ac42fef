"""Makes Tekton bundles: pipelines and tasks as layers of an OCI image, in an image layout directory; the same content, the same digest.

After Tekton's bundle contract (one object a layer, at most 20, three annotations on each) and the OCI image layout specification.
"""

import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import yaml

from kubernaut.api.base import Obj

MAX_OBJECTS = 20
PIPELINE_NAME = "workflow"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_INDEX = "application/vnd.oci.image.index.v1+json"
_STORED_BLOCK = 65_535
_NOTE = "dev.tekton.image"


class BadBundle(ValueError):  # noqa: N818  (says what the objects are)
    """The objects make no bundle that Tekton would take."""


@dataclass(frozen=True, slots=True)
class Image:
    """A bundle: its manifest's digest, and every blob by digest, the manifest included."""

    digest: str
    size: int
    blobs: dict[str, bytes]


def read_objects(path: Path) -> list[Obj]:
    """Return the YAML documents of a file; raise BadBundle when it is not YAML."""
    try:
        return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document is not None]
    except yaml.YAMLError as fault:
        raise BadBundle(f"{path.name} is no YAML: {fault}") from fault


def build(path: Path, layout: Path, repository: str) -> str:
    """Put the bundle of a pipeline file into a layout directory; return `repository@sha256:…`."""
    return store(pack(read_objects(path)), layout, repository)


def pack(objects: Sequence[Obj]) -> Image:
    """Return the bundle of Tekton objects, one of which is the pipeline named `workflow`; raise BadBundle."""
    _check(objects)
    tars = [_tar(each) for each in objects]
    layers = [_gzip(tar) for tar in tars]
    config = _json({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [_digest(tar) for tar in tars]}})
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [_descriptor(_LAYER, layer) | {"annotations": _notes(each)} for layer, each in zip(layers, objects, strict=True)],
        }
    )
    return Image(_digest(manifest), len(manifest), {_digest(blob): blob for blob in (*layers, config, manifest)})


def store(image: Image, layout: Path, repository: str) -> str:
    """Put a bundle into an OCI image layout directory, beside what is there; return `repository@sha256:…`."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for digest, data in image.blobs.items():
        _write(blobs / digest.removeprefix("sha256:"), data)
    _write(layout / "index.json", _json(_index(layout, image)))
    _write(layout / "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    return f"{repository}@{image.digest}"


def _check(objects: Sequence[Obj]) -> None:
    if not 0 < len(objects) <= MAX_OBJECTS:
        raise BadBundle(f"a bundle holds 1 to {MAX_OBJECTS} objects, not {len(objects)}")
    for each in objects:
        _check_object(each)
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    if twice := sorted({f"{kind} {name}" for kind, name in names if names.count((kind, name)) > 1}):
        raise BadBundle(f"twice in one bundle: {', '.join(twice)}")
    if ("Pipeline", PIPELINE_NAME) not in names:
        raise BadBundle(f"no Pipeline named {PIPELINE_NAME!r}: that is the one a workflow runs")


def _check_object(each: Obj) -> None:
    if not isinstance(each, dict) or each.get("kind") not in {"Pipeline", "Task"}:
        raise BadBundle("a bundle holds objects of kind Pipeline and Task only")
    if not str(each.get("apiVersion", "")).startswith("tekton.dev/"):
        raise BadBundle(f"{each['kind']} is of {each.get('apiVersion')}, not of tekton.dev")
    if not isinstance(each.get("metadata"), dict) or not each["metadata"].get("name"):
        raise BadBundle(f"a {each['kind']} has no name")


def _notes(each: Obj) -> dict[str, str]:
    """Kinds are lower case and singular, versions without their group: anything else Tekton refuses."""
    version = each["apiVersion"].rpartition("/")[2]
    return {f"{_NOTE}.apiVersion": version, f"{_NOTE}.kind": each["kind"].lower(), f"{_NOTE}.name": each["metadata"]["name"]}


def _tar(each: Obj) -> bytes:
    data = _json(each)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo(each["metadata"]["name"])
        entry.size, entry.mode = len(data), 0o644
        archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def _gzip(data: bytes) -> bytes:
    """Wrap in gzip without compressing: compressors differ between machines, and with them the digest would."""
    blocks = [data[start : start + _STORED_BLOCK] for start in range(0, len(data), _STORED_BLOCK)]
    body = b"".join(
        struct.pack("<BHH", position == len(blocks) - 1, len(block), len(block) ^ 0xFFFF) + block for position, block in enumerate(blocks)
    )
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    return header + body + struct.pack("<II", zlib.crc32(data), len(data))


def _index(layout: Path, image: Image) -> Obj:
    row = {"mediaType": _MANIFEST, "digest": image.digest, "size": image.size}
    path = layout / "index.json"
    known = orjson.loads(path.read_bytes())["manifests"] if path.exists() else []
    rows = {each["digest"]: each for each in known} | {image.digest: row}
    return {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [rows[digest] for digest in sorted(rows)]}


def _write(path: Path, data: bytes) -> None:
    """Replace a file whole: a reader never sees half of it."""
    if path.exists() and path.read_bytes() == data:
        return
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(data)
    draft.replace(path)


def _descriptor(media_type: str, data: bytes) -> Obj:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _json(value: Obj) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
