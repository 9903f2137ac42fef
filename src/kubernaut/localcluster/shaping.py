"""Objects in the shape a client asked for: whole, as a Table, or metadata alone."""

from collections.abc import Sequence

import orjson

from kubernaut.localcluster import errors, faces, listing, table
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.listing import Page
from kubernaut.localcluster.negotiation import Form
from kubernaut.localcluster.store import Record

_INCLUDES = {"", "Metadata", "Object", "None"}


def _check_include(include: str) -> None:
    if include not in _INCLUDES:
        text = f"includeObject: Invalid value: {errors.encode_go(include)}: must be 'Metadata', 'Object', 'None', or empty"
        raise errors.bad_request(f"Unable to convert to Table as requested: {text}")


def whole(kind: ResourceKind, record: Record) -> bytes:
    """Return an object's JSON as a version shows it."""
    return record.data if faces.as_stored(kind, record.obj) else orjson.dumps(faces.shown(kind, record))


def one(kind: ResourceKind, record: Record, form: Form, include: str) -> bytes:
    """Return one object in its shape."""
    if not form.shape:
        return whole(kind, record)
    if form.shape == "Table":
        _check_include(include)
        meta = {"resourceVersion": record.obj["metadata"].get("resourceVersion", "")}
        return orjson.dumps(table.render(kind, [faces.shown(kind, record)], meta, include, form.version))
    return orjson.dumps(partial(faces.shown(kind, record), form.version))


def many(kind: ResourceKind, page: Page, form: Form, include: str) -> bytes:
    """Return a list in its shape."""
    if not form.shape:
        return listing.encode(kind, page)
    if form.shape == "PartialObjectMetadata":
        raise errors.ApiError(
            406, "NotAcceptable", f"you requested PartialObjectMetadata, but the requested object is a list ({_go_list(kind)})"
        )
    shown = [faces.shown(kind, record) for record in page.records]
    meta = {key: value for key, value in page.metadata(kind).items() if value}
    if form.shape == "Table":
        _check_include(include)
        return orjson.dumps(table.render(kind, shown, meta, include, form.version))
    items = [partial(obj, form.version) for obj in shown]
    bare = (
        [{key: value for key, value in item.items() if key not in {"kind", "apiVersion"}} for item in items] if not kind.custom else items
    )
    return orjson.dumps({"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{form.version}", "metadata": meta, "items": bare})


def _go_list(kind: ResourceKind) -> str:
    return "*unstructured.UnstructuredList" if kind.custom else f"*{kind.version}.{kind.list_kind}"


def partial(obj: Obj, version: str) -> Obj:
    """Return an object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


class EventShape:
    """The shape of a watch's objects; a Table tells its columns once."""

    def __init__(self, kind: ResourceKind, form: Form, include: str) -> None:
        """Check includeObject; raise ApiError 400."""
        _check_include(include)
        self._kind = kind
        self._form = form
        self._include = include
        self._told = False

    def __call__(self, record: Record, shown: bytes | None) -> bytes:
        """Return the JSON of an event's object."""
        if not self._form.shape:
            return shown if shown is not None else whole(self._kind, record)
        obj: Obj = orjson.loads(shown) if shown is not None else faces.shown(self._kind, record)
        if self._form.shape == "Table":
            return orjson.dumps(self._table([obj]))
        return orjson.dumps(partial(obj, self._form.version))

    def _table(self, objects: Sequence[Obj]) -> Obj:
        meta = {"resourceVersion": objects[0]["metadata"]["resourceVersion"]}
        rendered = table.render(self._kind, objects, meta, self._include, self._form.version)
        if self._told:
            rendered["columnDefinitions"] = None
        self._told = True
        return rendered
