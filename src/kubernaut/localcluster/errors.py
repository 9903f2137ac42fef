"""The errors of the Kubernetes API: each carries the Status object that goes over the wire, in the words of kube-apiserver."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

Obj = dict[str, Any]


class Cause(Protocol):
    """One fault of a refused object; `schema.Fault` is one."""

    @property
    def field(self) -> str:
        """Where, as kube names it (`spec.size`)."""

    @property
    def type(self) -> str:
        """The reason, e.g. FieldValueInvalid."""

    @property
    def message(self) -> str:
        """The sentence, without the field."""


@dataclass(frozen=True, slots=True)
class FieldFault:
    """A fault found outside a schema: in metadata, options or by the rules of a built-in kind."""

    field: str
    type: str
    message: str


class ApiError(Exception):
    """A refusal, carrying a Kubernetes Status; `reason` is empty for the few internal errors that have none."""

    def __init__(self, code: int, reason: str, message: str, details: Obj | None = None) -> None:
        """Keep the parts of the Status; `details` None leaves that member out."""
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details: Obj = details or {}
        self._has_details = details is not None
        self.metadata: Obj = {}
        self.retry_after: int | None = None
        self.warnings: list[str] = []

    def status(self) -> Obj:
        """Return the Status object."""
        body: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure", "message": self.message}
        if self.reason:
            body["reason"] = self.reason
        if self._has_details:
            body["details"] = self.details
        return body | {"code": self.code}


def encode_go(value: object) -> str:
    """Return a value as messages quote it: compact JSON."""
    return orjson.dumps(value).decode()


class NoSuchPath(Exception):  # noqa: N818 - the plain text 404 of an unknown path is no Status
    """Nothing is served at a path."""


class Resourceful(Protocol):
    """What errors need to know of a kind."""

    @property
    def group(self) -> str:
        """API group, empty for core."""

    @property
    def kind(self) -> str:
        """Kind, in capitals."""

    @property
    def plural(self) -> str:
        """Resource name."""


def qualified(name: str, group: str) -> str:
    """Join a resource or kind with its group, as messages do."""
    return f"{name}.{group}" if group else name


def _details(name: str, group: str, kind: str) -> Obj:
    details = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in details.items() if value}


def not_found(kind: Resourceful, name: str) -> ApiError:
    """404 of an object."""
    text = f'{qualified(kind.plural, kind.group)} "{name}" not found'
    return ApiError(404, "NotFound", text, _details(name, kind.group, kind.plural))


def no_resource() -> ApiError:
    """404 of a resource, for callers inside the process."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(kind: Resourceful, name: str, *, dying: bool = False) -> ApiError:
    """409: the name is taken; `dying` says that its holder is being deleted."""
    text = f'{qualified(kind.plural, kind.group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", f"object is being deleted: {text}" if dying else text, _details(name, kind.group, kind.plural))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(kind: Resourceful, name: str, why: str = MODIFIED) -> ApiError:
    """409: the object has moved on since the caller read it."""
    text = f'Operation cannot be fulfilled on {qualified(kind.plural, kind.group)} "{name}": {why}'
    return ApiError(409, "Conflict", text, _details(name, kind.group, kind.plural))


def invalid_named(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: the object breaks rules; messages name the kind (or what is given in its place)."""
    told = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    text = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    rows = [{"reason": cause.type, "message": cause.message, "field": cause.field} for cause in causes]
    return ApiError(
        422, "Invalid", f'{qualified(kind, group)} "{name}" is invalid: {text}', {**_details(name, group, kind), "causes": rows}
    )


def invalid(kind: Resourceful, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: the object breaks rules."""
    return invalid_named(kind.kind, kind.group, name, causes)


def invalid_options(options: str, field: str, type_: str, message: str) -> ApiError:
    """422 of request parameters (`CreateOptions`, `PatchOptions`, ...)."""
    return invalid_named(options, "meta.k8s.io", "", [FieldFault(field, type_, message)])


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def internal(message: str) -> ApiError:
    """500 without a reason: what the real server lets through unclassified."""
    return ApiError(500, "", message)


def internal_error(why: str) -> ApiError:
    """500 with a reason: the server, or what it depends on, failed."""
    return ApiError(500, "InternalError", f"Internal error occurred: {why}", {"causes": [{"message": why}]})


def unauthorized() -> ApiError:
    """401."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(kind: Resourceful, name: str, why: str) -> ApiError:
    """403 of a resource."""
    shown = f' "{name}"' if name else ""
    text = f"{qualified(kind.plural, kind.group)}{shown} is forbidden: {why}"
    return ApiError(403, "Forbidden", text, _details(name, kind.group, kind.plural))


def method_not_allowed() -> ApiError:
    """405 of a path that knows other methods."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def not_supported(kind: Resourceful, verb: str) -> ApiError:
    """405 of a custom resource."""
    text = f'{verb} is not supported on resources of kind "{qualified(kind.plural, kind.group)}"'
    return ApiError(405, "MethodNotAllowed", text, _details("", kind.group, kind.plural))


def unconverted(kind: Resourceful) -> ApiError:
    """501 of a custom resource in a version that a conversion webhook would have to make."""
    name = qualified(kind.plural, kind.group)
    told = f"{name} converts between versions by a webhook, which the embedded cluster does not call"
    text = f"{told}: ask for the storage version, and keep it the only one in status.storedVersions"
    return ApiError(501, "NotImplemented", text, _details("", kind.group, kind.plural))


def unsupported_media_type(accepted: Iterable[str]) -> ApiError:
    """415, naming what a body may be."""
    text = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", text)


def not_acceptable(accepted: Collection[str]) -> ApiError:
    """406, naming what an answer may be."""
    return ApiError(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(accepted)}")


def too_large(limit: int) -> ApiError:
    """413."""
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def unprocessable() -> ApiError:
    """422 of a patch that cannot be carried out."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def expired(message: str) -> ApiError:
    """410: the history asked for was compacted."""
    return ApiError(410, "Expired", message)


def too_old(asked: int, oldest: int) -> ApiError:
    """410 of a watch or an exact list."""
    return expired(f"too old resource version: {asked} ({oldest})")


def future_version(asked: int, current: int) -> ApiError:
    """504: the resource version has not been reached yet."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    error = ApiError(
        504, "Timeout", f"Timeout: Too large resource version: {asked}, current: {current}", {"causes": causes, "retryAfterSeconds": 1}
    )
    error.retry_after = 1
    return error


def too_many_requests(message: str, details: Obj) -> ApiError:
    """429."""
    return ApiError(429, "TooManyRequests", message, details)
