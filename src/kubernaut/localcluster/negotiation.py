"""What an answer looks like: the media types a client accepts, and the transformations it asks for in them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson
import yaml

from kubernaut.localcluster import errors
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.protobufstatus import encode_status

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
ACCEPTED = (JSON, YAML, PROTOBUF)
_WATCHED = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
_ANY = {"*/*", "application/*", ""}


@dataclass(frozen=True, slots=True)
class Form:
    """The chosen form: JSON or YAML, and `Table`, `PartialObjectMetadata(List)` or nothing in `shape`."""

    media: str = JSON
    shape: str = ""
    version: str = ""
    group: str = ""
    content_type: str = JSON


@dataclass(slots=True)
class Answer:
    """A finished answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)
    stream: AsyncIterator[bytes] | None = None
    """Chunks that follow instead of a body."""


def _clauses(accept: str) -> list[tuple[str, dict[str, str]]]:
    found = []
    for clause in accept.split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        found.append((media, dict(part.split("=", 1) for part in parameters if "=" in part)))
    return found


def choose(accept: str, *, core: bool) -> Form:
    """Take the first clause that can be met; raise ApiError 406 where none can."""
    for media, parameters in _clauses(accept):
        if form := _form(media, parameters):
            return form
    if core:
        told = ", ".join((*ACCEPTED, *_WATCHED))
        raise errors.ApiError(406, "NotAcceptable", f"406: Not Acceptable\n\nAvailable representations: {told}", {})
    raise errors.not_acceptable(ACCEPTED)


def _form(media: str, parameters: dict[str, str]) -> Form | None:
    shape = parameters.get("as", "")
    if shape and (
        shape not in {"Table", "PartialObjectMetadata", "PartialObjectMetadataList"} or parameters.get("v") not in {"v1", "v1beta1"}
    ):
        return None
    if media in _ANY or media == JSON:
        return Form(JSON, shape, parameters.get("v", ""), parameters.get("g", ""), JSON)
    if media in {YAML, "application/x-yaml", "text/yaml"}:
        return Form(YAML, shape, parameters.get("v", ""), parameters.get("g", ""), YAML)
    return None


class _Dumper(yaml.CSafeDumper):
    """Writes YAML as Go does: no anchors, double quotes around text that would read as something else, blocks for lines."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the hook's signature
        """Repeat shared values instead of referring to them."""
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    tag = "tag:yaml.org,2002:str"
    if "\n" in value:
        return dumper.represent_scalar(tag, value, style="|")
    plain = dumper.resolve(  # type: ignore[no-untyped-call]
        yaml.ScalarNode, value, (True, False)
    ) == tag and value.lower() not in {"y", "n"}
    return dumper.represent_scalar(tag, value, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def encode(body: bytes | Obj, form: Form, status: int = 200, *, pretty: bool = False) -> Answer:
    """Return an answer from JSON or a value, in the chosen form."""
    if form.media == YAML:
        value = orjson.loads(body) if isinstance(body, bytes) else body
        return Answer(status, yaml.dump(value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True).encode(), YAML)
    if pretty:
        value = orjson.loads(body) if isinstance(body, bytes) else body
        return Answer(status, orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
    return Answer(status, (body if isinstance(body, bytes) else orjson.dumps(body)) + b"\n")


def plain(text: str, status: int = 200) -> Answer:
    """Return a plain text answer."""
    return Answer(status, text.encode(), "text/plain; charset=utf-8")


NOT_FOUND = "404 page not found\n"


def fault(error: errors.ApiError, accept: str = "") -> Answer:
    """Return the Status of an error: in JSON, unless protobuf is all that a caller accepts."""
    if {media for media, _ in _clauses(accept)} == {PROTOBUF}:
        answer = Answer(error.code, encode_status(error.status()), PROTOBUF)
    else:
        answer = Answer(error.code, orjson.dumps(error.status()) + b"\n")
    if error.retry_after is not None:
        answer.headers.append(("Retry-After", str(error.retry_after)))
    answer.headers += [("Warning", f"299 - {errors.encode_go(text)}") for text in error.warnings]
    return answer
