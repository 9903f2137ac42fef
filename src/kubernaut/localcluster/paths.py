"""What a URL path means: a resource and its part, or one of the few paths that are none."""

from dataclasses import dataclass
from functools import lru_cache

_METHOD_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_NAMESPACE_PARTS = {"status", "finalize"}


@dataclass(frozen=True, slots=True)
class Target:
    """A resource path; `name` is empty for a collection, `namespace` for all of them or cluster scoped kinds."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    watch: bool = False
    """The old form of a watch: `/watch/` before the resource."""


@lru_cache(maxsize=256)
def parse(path: str) -> Target | None:
    """Read a path under /api/v1 or /apis/GROUP/VERSION; None where it names no resource."""
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        return _resource("", parts[1], parts[2:]) if len(parts) > 2 else None  # noqa: PLR2004 - api, version, plural
    if parts[0] == "apis":
        return _resource(parts[1], parts[2], parts[3:]) if len(parts) > 3 else None  # noqa: PLR2004 - apis, group, version, plural
    return None


def verb(method: str, target: Target, *, watch: bool) -> str:
    """Return the verb of a request as roles name it; `watch` is its parameter of that name."""
    if method in {"GET", "HEAD"}:
        if target.name:
            return "get"
        return "watch" if target.watch or watch else "list"
    if method == "DELETE":
        return "delete" if target.name else "deletecollection"
    return _METHOD_VERBS.get(method, "")


def _resource(group: str, version: str, parts: list[str]) -> Target | None:
    namespace = ""
    watch = parts[0] == "watch" and len(parts) > 1
    parts = parts[1:] if watch else parts
    if parts[0] == "namespaces" and len(parts) > 2 and not (group == "" and parts[2] in _NAMESPACE_PARTS):  # noqa: PLR2004
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource = (*parts, "", "")[:3]
    return Target(group, version, plural, namespace, name, subresource, watch)
