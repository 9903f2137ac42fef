"""Bundles in an OCI image layout directory: what `kubernaut bundle build` makes, and what the embedded runner reads.

After the OCI image layout specification: `oci-layout`, `index.json`, `blobs/sha256/…`.
"""

from pathlib import Path

from kubernaut.api.base import Obj
from kubernaut.catalog.bundle import DIGEST, MANIFEST, MAX_BLOB, BadBundle, Image, as_json, blobs_of, decoded

_INDEX = "application/vnd.oci.image.index.v1+json"


def store(image: Image, layout: Path, repository: str) -> str:
    """Put a bundle into a layout directory, beside what is there; return `repository@sha256:…`."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for digest, data in image.blobs.items():
        _write(blobs / digest.removeprefix("sha256:"), data)
    _write(layout / "index.json", as_json(_index(layout, image)))
    _write(layout / "oci-layout", as_json({"imageLayoutVersion": "1.0.0"}))
    return f"{repository}@{image.digest}"


def load(layout: Path, digest: str = "") -> Image:
    """Return a bundle of a layout directory as it stands there, unchecked; without a digest the only one; raise BadBundle."""
    if not (layout / "oci-layout").is_file():
        raise BadBundle(f"{layout} is no OCI image layout: it has no file oci-layout")
    known = [str(row.get("digest", "")) for row in decoded(_read(layout / "index.json"), "index.json").get("manifests", [])]
    if not digest and len(known) != 1:
        raise BadBundle(f"{layout} holds {len(known)} bundles: say which one by its digest ({', '.join(known) or 'none'})")
    wanted = digest or known[0]
    if wanted not in known or not DIGEST.fullmatch(wanted):
        raise BadBundle(f"{layout} does not hold {wanted}; it holds {', '.join(known) or 'nothing'}")
    manifest = _blob(layout, wanted)
    return Image(wanted, len(manifest), {wanted: manifest} | {each: _blob(layout, each) for each in blobs_of(manifest)})


def _index(layout: Path, image: Image) -> Obj:
    row = {"mediaType": MANIFEST, "digest": image.digest, "size": image.size}
    path = layout / "index.json"
    known = decoded(path.read_bytes(), "index.json")["manifests"] if path.exists() else []
    rows = {each["digest"]: each for each in known} | {image.digest: row}
    return {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [rows[digest] for digest in sorted(rows)]}


def _blob(layout: Path, digest: str) -> bytes:
    return _read(layout / "blobs" / "sha256" / digest.removeprefix("sha256:"))


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise BadBundle(f"{path} is missing")
    if path.stat().st_size > MAX_BLOB:
        raise BadBundle(f"{path} is larger than {MAX_BLOB} bytes")
    return path.read_bytes()


def _write(path: Path, data: bytes) -> None:
    """Replace a file whole: a reader never sees half of it."""
    if path.exists() and path.read_bytes() == data:
        return
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(data)
    draft.replace(path)
