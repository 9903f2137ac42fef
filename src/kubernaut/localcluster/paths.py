"""What a URL path means: a resource and its part, or one of the few paths that are none."""

from dataclasses import dataclass

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


def parse(path: str) -> Target | None:
    """Read a path under /api/v1 or /apis/GROUP/VERSION; None where it names no resource."""
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        return _resource("", parts[1], parts[2:]) if len(parts) > 2 else None  # noqa: PLR2004 - api, version, plural
    if parts[0] == "apis":
        return _resource(parts[1], parts[2], parts[3:]) if len(parts) > 3 else None  # noqa: PLR2004 - apis, group, version, plural
    return None


def _resource(group: str, version: str, parts: list[str]) -> Target | None:
    namespace = ""
    watch = parts[0] == "watch" and len(parts) > 1
    parts = parts[1:] if watch else parts
    if parts[0] == "namespaces" and len(parts) > 2 and not (group == "" and parts[2] in _NAMESPACE_PARTS):  # noqa: PLR2004
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource = (*parts, "", "")[:3]
    return Target(group, version, plural, namespace, name, subresource, watch)
