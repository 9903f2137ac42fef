"""Tekton bundles read from OCI image layout directories: what the bundles resolver does with a registry, without a registry.

A reference is `repository@sha256:digest` (of the manifest) or `repository:tag`; settings map a registry or repository
prefix to a directory that is an image layout (`oci-layout`, `index.json`, `blobs/sha256/…`), or holds one a repository
underneath. The contract of a bundle (at most 20 layers, three annotations on every layer, singular lower-case kinds) is
checked, and errors are worded, as Tekton does. Every blob is checked against its digest, and read within bounds.
"""

import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from kubernaut.localcluster.errors import Obj

MAX_LAYERS = 20
MAX_BLOB = 4 << 20
MAX_OBJECT = 4 << 20

_NAME, _KIND, _VERSION = (f"dev.tekton.image.{key}" for key in ("name", "kind", "apiVersion"))
_TAG_ANNOTATION = "org.opencontainers.image.ref.name"
_GZIP = b"\x1f\x8b"
_REGISTRY = r"(?:(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:\d))(?::\d+)?/)?"
_PATH = r"[a-z0-9]+(?:[._\-/]+[a-z0-9]+)*"
_REFERENCE = re.compile(rf"(?P<repository>{_REGISTRY}{_PATH})(?::(?P<tag>\w[\w.\-]{{0,127}}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?")


class BadReference(Exception):  # noqa: N818 - an outcome
    """The text is no image reference."""


class BundleError(Exception):
    """The bundle cannot be read or breaks the contract; the text is Tekton's."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An image reference; `repository` has its registry in front."""

    text: str
    repository: str
    tag: str
    digest: str

    @property
    def host(self) -> str:
        """The registry."""
        return self.repository.partition("/")[0]

    @property
    def path(self) -> str:
        """The repository within its registry."""
        return self.repository.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a bundle, still as text, and where it came from."""

    data: bytes
    repository: str
    digest: str
    annotations: Mapping[str, str]


def parse(text: str) -> Reference:
    """Read an image reference as Tekton's registry library does; raise BadReference."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise BadReference(f"could not parse reference: {text}")
    tag = match["tag"] or ("" if match["digest"] else "latest")
    return Reference(text, _qualified(match["repository"]), tag, match["digest"] or "")


def _qualified(repository: str) -> str:
    first, slash, _ = repository.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return repository
    return f"index.docker.io/{repository}" if slash else f"index.docker.io/library/{repository}"


class Bundles:
    """All bundles that the settings know."""

    def __init__(self, layouts: Mapping[str, Path]) -> None:
        """Take layout directories by registry or repository prefix."""
        self._layouts = layouts

    def entry(self, text: str, kind: str, name: str) -> Entry:
        """Return the object of a kind and name in a bundle; raise BadReference or BundleError."""
        reference = parse(text)
        layout, rest = self._layout(reference)
        digest = reference.digest or _digest_of_tag(layout, reference, rest)
        manifest = _manifest(layout, reference, digest)
        layers = _layers(manifest, text)
        for layer in layers:
            notes = layer["annotations"]
            if notes[_NAME] == name and notes[_KIND] == kind.lower():
                data = _content(_blob(layout, str(layer.get("digest", ""))))
                return Entry(data, reference.repository, digest.removeprefix("sha256:"), notes)
        raise BundleError(f"could not find object in image with kind: {kind} and name: {name}")

    def _layout(self, reference: Reference) -> tuple[Path, str]:
        for prefix in sorted(self._layouts, key=len, reverse=True):
            if reference.repository == prefix or reference.repository.startswith(prefix.rstrip("/") + "/"):
                rest = reference.repository[len(prefix) :].lstrip("/")
                return _directory(self._layouts[prefix], rest)
        host = reference.host.partition(":")[0]
        raise BundleError(f'cannot retrieve the oci image: Get "https://{reference.host}/v2/": dial tcp: lookup {host}: no such host')


def _directory(root: Path, rest: str) -> tuple[Path, str]:
    nested = root / rest
    return (nested, "") if rest and (nested / "oci-layout").is_file() else (root, rest)


def _index(layout: Path) -> list[Obj]:
    if not (layout / "oci-layout").is_file():
        raise BundleError("cannot retrieve the oci image: no oci-layout file in its image layout directory")
    index = _json(_read(layout / "index.json"))
    return [row for row in index.get("manifests", []) if isinstance(row, dict)]


def _digest_of_tag(layout: Path, reference: Reference, rest: str) -> str:
    wanted = {f"{reference.repository}:{reference.tag}", f"{rest}:{reference.tag}" if rest else reference.tag}
    for row in _index(layout):
        if row.get("annotations", {}).get(_TAG_ANNOTATION) in wanted:
            return str(row.get("digest", ""))
    raise _unknown(reference, reference.tag, f"Tag:{reference.tag}")


def _manifest(layout: Path, reference: Reference, digest: str) -> Obj:
    if digest not in {row.get("digest") for row in _index(layout)}:
        raise _unknown(reference, digest, f"Name:{reference.path} Revision:{digest}")
    return _json(_blob(layout, digest))


def _unknown(reference: Reference, identifier: str, detail: str) -> BundleError:
    scheme = "http" if reference.host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
    url = f"{scheme}://{reference.host}/v2/{reference.path}/manifests/{identifier}"
    return BundleError(f"cannot retrieve the oci image: GET {url}: MANIFEST_UNKNOWN: manifest unknown; map[{detail}]")


def _layers(manifest: Obj, text: str) -> list[Obj]:
    layers = [layer for layer in manifest.get("layers") or [] if isinstance(layer, dict)]
    if len(layers) > MAX_LAYERS:
        raise _broken(text, f"contained more than the maximum {MAX_LAYERS} allow objects")
    for position, layer in enumerate(layers):
        notes = layer.setdefault("annotations", {})
        lacking = [key for key in (_VERSION, _NAME, _KIND) if key not in notes]
        if lacking:
            raise _broken(text, f"the layer {position} does not contain a {lacking[0]} annotation")
        if notes[_KIND].lower().removesuffix("s") != notes[_KIND]:
            raise _broken(text, f"the layer {position} the annotation {_KIND} must be lowercased and singular, found {notes[_KIND]}")
    return layers


def _broken(text: str, why: str) -> BundleError:
    return BundleError(f"invalid tekton bundle {text}, error: {why}")


def _blob(layout: Path, digest: str) -> bytes:
    algorithm, _, name = digest.partition(":")
    if algorithm != "sha256" or not re.fullmatch(r"[0-9a-f]{64}", name):
        raise BundleError(f"cannot retrieve the oci image: unsupported digest {digest!r}")
    data = _read(layout / "blobs" / "sha256" / name)
    found = hashlib.sha256(data).hexdigest()
    if found != name:
        raise BundleError(f'error verifying sha256 checksum after reading {len(data)} bytes; got "sha256:{found}", want "{digest}"')
    return data


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BLOB + 1)
    except OSError as error:
        raise BundleError(f"cannot retrieve the oci image: open {path.name}: {error.strerror}") from error
    if len(data) > MAX_BLOB:
        raise BundleError(f"cannot retrieve the oci image: {path.name} is larger than {MAX_BLOB} bytes")
    return data


def _json(data: bytes) -> Obj:
    try:
        value: Any = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BundleError(f"cannot retrieve the oci image: {error}") from error
    if not isinstance(value, dict):
        raise BundleError("cannot retrieve the oci image: not a JSON object")
    return value


def _content(blob: bytes) -> bytes:
    data = _inflated(blob) if blob.startswith(_GZIP) else blob
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            member = archive.next()
            file = archive.extractfile(member) if member else None
            return file.read(MAX_OBJECT) if file else b""
    except tarfile.ReadError:
        return data


def _inflated(blob: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        data = stream.decompress(blob, MAX_OBJECT)
    except zlib.error as error:
        raise BundleError(f"failed to uncompress layer contents from image: {error}") from error
    if stream.unconsumed_tail:
        raise BundleError(f"layer is larger than {MAX_OBJECT} bytes")
    return data
