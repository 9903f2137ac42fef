"""Makes and reads Tekton bundles: pipelines and tasks as layers of an OCI image; the same content, the same digest on every machine.

After Tekton's bundle contract: one object a layer, at most 20 of them, three annotations on each, and the pipeline that a workflow runs
is named `workflow`. Where an image comes from or goes to is known to `layout.py` (a directory) and `registry.py`.
"""

import hashlib
import io
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import yaml

from kubernaut.api.base import Obj, Unusable

MAX_OBJECTS = 20
PIPELINE_NAME = "workflow"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MAX_BLOB = 4 << 20
"""Bytes of one blob, as it comes and as it is unpacked."""
DIGEST = re.compile("sha256:[0-9a-f]{64}")
_PINNED = re.compile("@sha256:[0-9a-f]{64}$")
_STORED_BLOCK = 65_535
_NOTE = "dev.tekton.image"


class BadBundle(Unusable):
    """The objects make no bundle that Tekton would take."""


@dataclass(frozen=True, slots=True)
class Image:
    """A bundle: its manifest's digest, and every blob by digest, the manifest included."""

    digest: str
    size: int
    blobs: dict[str, bytes]


def read_objects(path: Path) -> list[Obj]:
    """Return the YAML documents of a file; raise BadBundle when it is not YAML."""
    return _documents(path.read_text(encoding="utf-8"), path.name)


def _documents(text: str, where: str) -> list[Obj]:
    try:
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as fault:
        raise BadBundle(f"{where} is no YAML: {fault}") from fault


def pack(objects: Sequence[Obj]) -> Image:
    """Return the bundle of Tekton objects, one of which is the pipeline named `workflow`; raise BadBundle."""
    _check(objects)
    tars = [_tar(each) for each in objects]
    layers = [_gzip(tar) for tar in tars]
    config = as_json({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]}})
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [_descriptor(_LAYER, layer) | {"annotations": _notes(each)} for layer, each in zip(layers, objects, strict=True)],
        }
    )
    return Image(digest_of(manifest), len(manifest), {digest_of(blob): blob for blob in (*layers, config, manifest)})


def unpack(image: Image) -> list[Obj]:
    """Return the objects of a bundle, every promise of its manifest held against what is there; raise BadBundle saying which is broken."""
    manifest = decoded(_blob(image, image.digest), "the manifest")
    layers = _layers(manifest)
    _blob(image, _named(manifest.get("config"), "the config"))
    objects = [_unpacked(image, position, layer) for position, layer in enumerate(layers)]
    _check(objects)
    return objects


def unpinned(objects: Sequence[Obj]) -> list[str]:
    """Return the images that the objects of a bundle run and do not pin by digest: they may change while the bundle does not."""
    return sorted({image for each in objects for image in _images(each.get("spec")) if not _PINNED.search(image)})


def _images(value: object) -> Iterator[str]:
    """Yield what is called an image anywhere in a spec: steps, sidecars, templates of steps."""
    if isinstance(value, list):
        for item in value:
            yield from _images(item)
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "image" and isinstance(item, str):
                yield item
            else:
                yield from _images(item)


def blobs_of(manifest: bytes) -> list[str]:
    """Return the digests of what a manifest refers to, config first; raise BadBundle."""
    read = decoded(manifest, "the manifest")
    return [_named(read.get("config"), "the config"), *(_named(each, f"layer {position}") for position, each in enumerate(_layers(read)))]


def decoded(data: bytes, what: str) -> Obj:
    """Read a JSON object; raise BadBundle."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as fault:
        raise BadBundle(f"{what} is no JSON: {fault}") from fault
    if not isinstance(value, dict):
        raise BadBundle(f"{what} is no JSON object")
    return value


def digest_of(data: bytes) -> str:
    """Return `sha256:…` of a blob."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def as_json(value: Obj) -> bytes:
    """Write JSON, keys sorted: the same content is the same bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _layers(manifest: Obj) -> list[Obj]:
    layers = manifest.get("layers")
    if not isinstance(layers, list) or not all(isinstance(each, dict) for each in layers):
        raise BadBundle("the manifest has no list of layers: this is no image, perhaps an index of images")
    if not 0 < len(layers) <= MAX_OBJECTS:
        raise BadBundle(f"the bundle has {len(layers)} layers: Tekton takes 1 to {MAX_OBJECTS}")
    return layers


def _unpacked(image: Image, position: int, layer: Obj) -> Obj:
    """Return the object of one layer."""
    where = f"layer {position}"
    notes = layer.get("annotations") or {}
    if lacking := [name for name in ("apiVersion", "kind", "name") if not notes.get(f"{_NOTE}.{name}")]:
        raise BadBundle(f"{where} lacks the annotation {_NOTE}.{lacking[0]}")
    kind, name = notes[f"{_NOTE}.kind"], notes[f"{_NOTE}.name"]
    if kind != kind.lower() or kind.endswith("s"):
        raise BadBundle(f"{where} has the annotation {_NOTE}.kind {kind!r}: it must be lower case and singular")
    found = _file(_blob(image, _named(layer, where)), where)
    if (str(found.get("kind")).lower(), (found.get("metadata") or {}).get("name")) != (kind, name):
        raise BadBundle(f"{where} is announced as {kind} {name}, and holds {found.get('kind')} {(found.get('metadata') or {}).get('name')}")
    return found


def _named(descriptor: object, where: str) -> str:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise BadBundle(f"{where} names no digest sha256:…")
    return digest


def _blob(image: Image, digest: str) -> bytes:
    data = image.blobs.get(digest)
    if data is None:
        raise BadBundle(f"{digest} is missing")
    if digest_of(data) != digest:
        raise BadBundle(f"what is called {digest} has the digest {digest_of(data)}: it was damaged or exchanged")
    return data


def _file(layer: bytes, where: str) -> Obj:
    """Return the one file of a layer as an object."""
    data = _inflated(layer, where)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            members = archive.getmembers()
            file = archive.extractfile(members[0]) if len(members) == 1 and members[0].isfile() else None
            if file is None:
                raise BadBundle(f"{where} holds {len(members)} files: it must be one")
            data = file.read(MAX_BLOB)
    except tarfile.ReadError as fault:
        raise BadBundle(f"{where} is no tar archive: {fault}") from fault
    found = _documents(data.decode("utf-8", "replace"), where)
    if len(found) != 1 or not isinstance(found[0], dict):
        raise BadBundle(f"{where} holds {len(found)} objects: it must be one")
    return found[0]


def _inflated(blob: bytes, where: str) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        data = stream.decompress(blob, MAX_BLOB)
    except zlib.error as fault:
        raise BadBundle(f"{where} is no gzip: {fault}") from fault
    if stream.unconsumed_tail:
        raise BadBundle(f"{where} is larger than {MAX_BLOB} bytes")
    return data


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
    data = as_json(each)
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


def _descriptor(media_type: str, data: bytes) -> Obj:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}
