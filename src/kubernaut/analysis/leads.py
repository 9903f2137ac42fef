"""Leads: where else the cause may be. Host names of Services in a workload's environment, and what the objects beside workloads select.

Pure; `collect.py` follows what is found here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

_ADDRESS: Final = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?(?:[^@/\s,;]*@)?(?P<host>[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)(?::(?P<port>\d{1,5}))?(?=[/,;?\s]|$)",
    re.IGNORECASE,
)
_WEBHOOK: Final = re.compile(r'failed calling webhook "(?P<name>[^"]{1,253})"')
_UNRESOLVED: Final = re.compile(
    r"server misbehaving|name resolution|(?:dns )?resolution (?:for \S+ )?failed|domain name not found|fail\w* to resolve|\bNXDOMAIN\b"
    r"|no such host|\bEAI_AGAIN\b|\bENOTFOUND\b|Name or service not known|could not translate host name"
    r"|lookup \S+( on \S+)?: (?:read udp .{1,100}: )?i/o timeout|getaddrinfo|UnknownHost",
    re.IGNORECASE,
)
_AWAITED: Final = re.compile(
    r"(?:(?:^|[\s;&|(])(?:nc|ncat|nslookup|dig|getent hosts|ping|telnet|wait-for\S*|dockerize)\s[^;&|]*?(?<![-\w./])"
    r"|\s(?:-h|--host(?:name)?)[ =])"
    r"(?P<host>[a-z](?:[-a-z0-9.]*[a-z0-9])?)(?:[ :](?P<port>\d{2,5}))?(?=[\s;&|)'\"]|\.?\$|$)",
    re.IGNORECASE,
)
"""What a shell line waits for: the host that a tool is given which only looks whether somebody is there."""
_HOSTLIKE: Final = (
    r"(?:lookup|host(?:name)?(?: name)?|ENOTFOUND|EAI_AGAIN|getaddrinfo|resolve|UnknownHost\w*|upstream|connect(?:ing|ion)? to|dial tcp"
    r"|server(?: at)?|address|broker|://|@)"
)
GOVERNING: Final = "spec.serviceName"
"""Where a StatefulSet names the Service of its pods."""
_ORDINAL: Final = re.compile(r"[a-z]\S*-\d{1,4}$")
"""How the name of a StatefulSet's pod ends."""
_IN_FILE: Final = re.compile(r"(?<![\w.-])(?:[\w-]{1,63}\.){2,3}svc(?:\.cluster\.local)?(?::\d{1,5})?(?![\w-])", re.IGNORECASE)
"""A Service's name in full, wherever it stands in a file."""
FILE_LIMIT: Final = 16_384
_FOREIGN: Final = re.compile(
    r"(?-i:\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE)) (?:[^\"\n]{0,2000}?(?= HTTP/\d)|[^\s\"]{1,2000})"
    r"|(?<![\w-])[\"']?(?:path|uri|request_uri|query|query_string|referr?er|user[-_ ]?agent)[\"']?\s*[:=]\s*"
    r"(?:\"(?:[^\"\\\n]|\\.){0,2000}\"|[^\s,;]{1,500})",
    re.IGNORECASE | re.MULTILINE,
)
"""What callers write into the log of a server."""
_ACCESS: Final = re.compile(r" HTTP/\d(?:\.\d)?\"? \d{3}\b")
"""A line that tells of a request and how it was answered: what stands in quotes there is its caller's."""
_QUOTED: Final = re.compile(r"\"[^\"\n]{0,2000}\"")
RECENT: Final = 20
"""Lines at the end of a log that tell how a program that serves fares now."""
_VALUE_LIMIT: Final = 2048
_LOG_LIMIT: Final = 4096
_NAMES_LIMIT: Final = 40
SERVICE_DOMAIN: Final = "svc"
_DEFAULT_PORTS: Final = {
    "http": 80,
    "https": 443,
    "redis": 6379,
    "postgres": 5432,
    "postgresql": 5432,
    "mysql": 3306,
    "amqp": 5672,
    "mongodb": 27017,
}


@dataclass(frozen=True, slots=True)
class Called:
    """A Service that a workload is told to call."""

    name: str
    namespace: str
    port: int | None
    certain: bool
    """Whether the text can mean nothing but a Service of the cluster."""
    field: str
    value: str
    aside: bool = False
    """Whether the text is about more than what is called, so that the program must complain of the name."""


def governing(top: Obj) -> list[Called]:
    """Return the Service by which the pods of a StatefulSet find each other; many do without."""
    name = str((top.get("spec") or {}).get("serviceName") or "") if top["kind"] == "StatefulSet" else ""
    return [Called(name, top["metadata"].get("namespace", ""), None, False, GOVERNING, name, aside=True)] if name else []


def called(template: Obj, namespace: str, values: Mapping[str, Mapping[str, str]]) -> list[Called]:
    """Return the Services that the environment of a pod template names, by way of ConfigMaps too (`values`: their data by name)."""
    found: dict[tuple[str, str, int | None], Called] = {}
    for where, text in (*_texts(template, values), *_awaited(template, namespace)):
        for row in _read(where, text, namespace):
            found.setdefault((row.namespace, row.name, row.port), row)
    known = {(row.namespace, row.name) for row in found.values()}
    for where, text in _files(template, values):
        for row in _read(where, text, namespace):
            if (row.namespace, row.name) not in known:
                found.setdefault((row.namespace, row.name, row.port), replace(row, aside=True))
    return list(found.values())[:_NAMES_LIMIT]


def _texts(template: Obj, values: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    spec = template.get("spec") or {}
    for kind in ("initContainers", "containers"):
        for row in spec.get(kind) or ():
            at = f"spec.{kind}[{row['name']}]"
            yield from ((f"{at}.env[{item['name']}]", text) for item in row.get("env") or () if (text := _value(item, values)))
            yield from ((f"{at}.args", text) for text in _words(row) if ":" in text)
            for source in row.get("envFrom") or ():
                name = (source.get("configMapRef") or {}).get("name", "")
                yield from ((f"{at}.envFrom[{name}].{key}", text) for key, text in sorted(values.get(name, {}).items()))


def _files(template: Obj, values: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the Services that mounted configuration files name, in the one form that means nothing else: name.namespace.svc.

    What such a name is for cannot be told from a file: whoever follows it must know of another sign that it is called.
    """
    for row in (template.get("spec") or {}).get("volumes") or ():
        name = (row.get("configMap") or {}).get("name", "")
        for key, text in sorted(values.get(name, {}).items()):
            found = _IN_FILE.finditer(text[:FILE_LIMIT])
            yield from ((f"spec.volumes[{row['name']}].configMap[{name}].{key}", match[0]) for match in found)


def _words(container: Obj) -> list[str]:
    return [str(text) for text in (*(container.get("command") or ()), *(container.get("args") or ()))]


def _awaited(template: Obj, namespace: str) -> Iterator[tuple[str, str]]:
    """Yield the Services that the shell lines of init containers wait for, by their names in the cluster."""
    for row in (template.get("spec") or {}).get("initContainers") or ():
        for match in _AWAITED.finditer(" ".join(_words(row))[:_VALUE_LIMIT]):
            parts, port = match["host"].casefold().split("."), f":{match['port']}" if match["port"] else ""
            if (len(parts) == 1 and parts[0] != "localhost") or parts[2:3] in ([], [SERVICE_DOMAIN]):
                yield (
                    f"spec.initContainers[{row['name']}].args",
                    f"{parts[0]}.{parts[1] if parts[1:] else namespace}.{SERVICE_DOMAIN}{port}",
                )


def _value(item: Obj, values: Mapping[str, Mapping[str, str]]) -> str:
    if "value" in item:
        return str(item["value"] or "")
    reference = (item.get("valueFrom") or {}).get("configMapKeyRef") or {}
    return values.get(reference.get("name", ""), {}).get(reference.get("key", ""), "")


def _read(where: str, text: str, namespace: str) -> Iterator[Called]:
    for match in _ADDRESS.finditer(str(text)[:_VALUE_LIMIT]):
        parts, port = _service_of(match["host"].casefold().split(".")), match["port"]
        scheme = match[0].partition("://")[0].casefold() if "://" in match[0] else ""
        number = int(port) if port else _DEFAULT_PORTS.get(scheme)
        if parts[3:4] == [SERVICE_DOMAIN]:  # a pod of a StatefulSet, by its own name
            parts = parts[1:]
        in_cluster = len(parts) >= 3 and parts[2] == SERVICE_DOMAIN  # noqa: PLR2004  (name, namespace, svc)
        if in_cluster or len(parts) == 2:  # noqa: PLR2004  (name and namespace)
            yield Called(parts[0], parts[1], number, in_cluster, where, match[0])
            if not in_cluster and _ORDINAL.search(parts[0]):  # pod and Service as well as it may be Service and namespace
                yield Called(parts[1], namespace, number, False, where, match[0])
        elif len(parts) == 1 and (scheme or port or match[0] == text) and not parts[0].isdecimal() and parts[0] != "localhost":
            yield Called(parts[0], namespace, number, bool(scheme and port), where, match[0])


def _service_of(parts: list[str]) -> list[str]:
    """Return the parts of a Service's name; a pod of a StatefulSet has its own before them, as in `db-0.db.shop.svc`."""
    of_pod = len(parts) > 2 and parts[2] != SERVICE_DOMAIN and _ORDINAL.search(parts[0])  # noqa: PLR2004  (pod, Service, namespace)
    return parts[1:] if of_pod else parts


def said_last(found: Snapshot) -> str:
    """Return what the containers of pods said when they ended, and in the logs that were read, each cut to a bound."""
    rows = [(key_of_log(pod, row["name"]), row) for pod in found.pods for row in _statuses(pod)]
    ends = ((row.get(state) or {}).get("terminated") or {} for _, row in rows for state in ("state", "lastState"))
    serving = {key for key, row in rows if row.get("ready")}
    logs = (own_words(recent(log)) if key in serving else log[-_LOG_LIMIT:] for key, log in found.logs.items())
    return "\n".join((*(str(end.get("message") or "")[:_VALUE_LIMIT] for end in ends), *logs))


def key_of_log(pod: Obj, container: str) -> str:
    """Return what a snapshot files the log of a container under."""
    return f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}/{container}"


def recent(log: str) -> str:
    """Return the end of a log that tells how a program that serves fares now."""
    return "\n".join([line for line in log.splitlines() if line.strip()][-RECENT:])


def own_words(text: str) -> str:
    """Return words of a program without what its callers may write into its log: request lines, paths, queries, names of browsers."""
    lines = (_QUOTED.sub("-", line) if _ACCESS.search(line) else line for line in text.splitlines())
    return _FOREIGN.sub("-", "\n".join(lines))


def _statuses(pod: Obj) -> Iterator[Obj]:
    status = pod.get("status") or {}
    yield from (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))


def names(messages: str, host: str) -> bool:
    """Tell whether words name a host, as a word of its own: `db` is not named by `mongodb`."""
    return bool(re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", messages, re.IGNORECASE))


def misses(messages: str, host: str) -> bool:
    """Tell whether words complain of a name as of a host: after what looks names up or connects, or before a port or a domain.

    A word that merely occurs is none: a log level is `error`, and so is the first word of what is said.
    """
    place = rf"(?<![\w.-])(?:[\w-]+-\d+\.)?{re.escape(host)}(?![\w-])"
    return bool(re.search(rf"{_HOSTLIKE}[\s:='\"(/@]{{0,4}}{place}|{place}(:\d{{2,5}}\b|\.[a-z0-9-]+\.svc\b)", messages, re.IGNORECASE))


def names_fail(messages: str) -> bool:
    """Tell whether last words complain that names do not resolve."""
    return bool(_UNRESOLVED.search(messages))


def selector_of(obj: Obj) -> Obj | None:
    """Return the label selector by which an object chooses pods, as a LabelSelector; None where it chooses none."""
    spec = obj.get("spec") or {}
    if obj["kind"] == "Service":
        return {"matchLabels": spec["selector"]} if spec.get("selector") else None
    field = {"PodDisruptionBudget": "selector", "NetworkPolicy": "podSelector"}.get(obj["kind"])
    found: Obj | None = spec.get(field) if field else None
    return found


def matches(selector: Obj | None, labels: Mapping[str, str] | None) -> bool:
    """Tell whether a LabelSelector takes an object with these labels; an empty one takes all, a missing one none."""
    if selector is None:
        return False
    held = labels or {}
    equal = all(held.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return equal and all(_expression(row, held) for row in selector.get("matchExpressions") or ())


def _expression(row: Obj, held: Mapping[str, str]) -> bool:
    value, values = held.get(row["key"]), row.get("values") or ()
    match row.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def labels_of(obj: Obj) -> Mapping[str, str]:
    """Return an object's labels."""
    found: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return found


def backends(ingress: Obj) -> list[tuple[str, str, Obj]]:
    """Return the Services that an Ingress sends to: field, name, and the port as the Ingress has it."""
    spec = ingress.get("spec") or {}
    rows = [("spec.defaultBackend", spec.get("defaultBackend") or {})]
    for number, rule in enumerate(spec.get("rules") or ()):
        paths = (rule.get("http") or {}).get("paths") or ()
        rows += [(f"spec.rules[{number}].http.paths[{index}].backend", path.get("backend") or {}) for index, path in enumerate(paths)]
    return [(field, str(row["service"]["name"]), row["service"].get("port") or {}) for field, row in rows if row.get("service")]


def secrets_of(ingress: Obj) -> list[tuple[str, str]]:
    """Return the Secrets that an Ingress takes its certificates from: field and name."""
    rows = enumerate((ingress.get("spec") or {}).get("tls") or ())
    return [(f"spec.tls[{number}].secretName", str(row["secretName"])) for number, row in rows if row.get("secretName")]


def claims_of(pod: Obj) -> list[str]:
    """Return the names of the PersistentVolumeClaims that a pod, or pod template, mounts."""
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    return [str(row["persistentVolumeClaim"]["claimName"]) for row in volumes if row.get("persistentVolumeClaim")]


def failing_webhooks(messages: Iterable[str], configurations: Iterable[Obj]) -> list[tuple[Obj, Obj]]:
    """Return configuration and webhook for each webhook that messages say cannot be called; only ones that exist."""
    said = {match["name"] for text in messages for match in _WEBHOOK.finditer(text[:_VALUE_LIMIT])}
    return [(obj, hook) for obj in configurations for hook in obj.get("webhooks") or () if hook.get("name") in said]
