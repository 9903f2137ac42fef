"""Hints: the Services that programs name in failing lines and files of theirs, and what of Kubernetes itself has been idle.

Pure. What is said is data: it tells where to look, and the objects there tell what is wrong.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from kubernaut.analysis.leads import FILE_LIMIT, SERVICE_DOMAIN, Called, misses, names
from kubernaut.analysis.snapshot import Snapshot, moment
from kubernaut.api.base import Obj

_FAILS: Final = re.compile(
    r"refused|no such host|timed? ?out|i/o timeout|unreachable|no route|resol(?:ve|ution)|could not (?:connect|translate)"
    r"|\bE(?:CONN|NOTFOUND|AI_AGAIN|TIMEDOUT|HOSTUNREACH)|UnknownHost|getaddrinfo|\breset\b|UNAVAILABLE"
    r"|fail(?:ed|ure|s)? to (?:connect|reach|resolve|dial|get|req)"
    r"|no (?:healthy upstream|reachable servers)|server selection|not known|unhealthy|not connected",
    re.IGNORECASE,
)
"""Lines that tell of a call that failed."""
_HOST: Final = re.compile(
    r"(?<![\w.-])(?P<host>[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?){0,5})"
    r"(?::(?P<port>\d{2,5}))?(?![\w-])",
    re.IGNORECASE,
)
_SOUGHT_HOST: Final = r"(?P<host>[a-z][-a-z0-9]{0,61}(?:\.[-a-z0-9]{1,63})*)(?P<colon>:(?P<port>\d{2,5}))?"
_SOUGHT: Final = tuple(
    re.compile(text.replace("HOST", _SOUGHT_HOST), re.IGNORECASE)
    for text in (
        r"\blookup HOST(?: on \S+: |: (?:no such host|i/o timeout|server misbehaving))",
        r"\b(?:ENOTFOUND|EAI_AGAIN|UnknownHostException:) HOST",
        r"translate host name [\"']HOST[\"']",
        r"resolution failed for (?:target )?(?:dns:/{0,3})?HOST",
        r"(?:fail\w*|unable) to resolve (?:host )?[\"']?HOST(?:[\"']|(?(colon)|: (?:name or|no address|temporary|nxdomain)))",
    )
)
"""A name that was looked up in vain."""
_TEMPLATE: Final = re.compile(r"^\s*template\s+\S+\s+\S+\s+(?P<zone>[\w.-]+)\s*\{[^{}]*\brcode\s+NXDOMAIN\b", re.MULTILINE | re.IGNORECASE)
_ALL_SERVICES: Final = frozenset({"svc.cluster.local", "cluster.local"})
_TIMES_OUT: Final = re.compile(r"timed? ?out|\bETIMEDOUT\b|deadline exceeded", re.IGNORECASE)
_PROMPT: Final = timedelta(minutes=1)
"""How soon a scheduler that works has said something of a pod."""
_APPLIED_TO: Final = 16_384
_NO_NAMES: Final = frozenset({"localhost", "undefined", "null", "none", "nil"})
_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#.*$", re.MULTILINE)
COREFILE: Final = "data.Corefile"
"""Where CoreDNS is told what to answer."""
SAID: Final = "log"
"""The field of what a program said, in its log or at its end."""


def mounted(template: Obj, namespace: str, values: Mapping[str, Mapping[str, str]], known: Collection[str]) -> Iterator[Called]:
    """Yield the Services of the namespace (`known`: their names) that files from mounted ConfigMaps name, each as a word of its own."""
    seen = set[tuple[str, str]]()
    for volume in (template.get("spec") or {}).get("volumes") or ():
        name = str((volume.get("configMap") or {}).get("name") or "")
        for key, text in sorted(values.get(name, {}).items()):
            for match in _HOST.finditer(_COMMENT.sub("", str(text)[:FILE_LIMIT])):
                place = _in_cluster(match["host"], namespace)
                if place and place[1] == namespace and place[0] in known and place not in seen:
                    seen.add(place)
                    yield Called(*place, _number(match), certain=False, field=f"spec.volumes[{volume['name']}].{key}", value=match[0])


def blamed(words: str, namespace: str, known: Collection[str], addresses: Mapping[str, str]) -> Iterator[Called]:
    """Yield the Services that failing lines name: by host name, by cluster IP (`addresses`: names by IP), or as a name sought in vain.

    A word that is the name of a Service (`known`) counts where it stands as a host; a name that no Service has only where it was looked up.
    In lines that tell of no failure a Service counts where it stands with a port: a program tells what it is going to call.
    """
    for line in words.splitlines():
        if not _FAILS.search(line):
            yield from _announced(line, namespace, known)
            continue
        found = [(match, place) for match in _HOST.finditer(line) if (place := _place(line, match["host"], namespace, known, addresses))]
        sought = [(match, _in_cluster(match["host"], namespace)) for pattern in _SOUGHT for match in pattern.finditer(line)]
        for match, place in (*found, *sought):
            if place is not None and place[0] not in _NO_NAMES:
                yield Called(*place, _number(match), certain=True, field=SAID, value=match[0])


def _announced(line: str, namespace: str, known: Collection[str]) -> Iterator[Called]:
    for match in _HOST.finditer(line):
        place = _in_cluster(match["host"], namespace) if match["port"] else None
        if place is not None and place[1] == namespace and place[0] in known:
            yield Called(*place, _number(match), certain=True, field=SAID, value=match[0])


def _place(line: str, host: str, namespace: str, known: Collection[str], addresses: Mapping[str, str]) -> tuple[str, str] | None:
    if host in addresses:
        return addresses[host], namespace
    place = _in_cluster(host, namespace)
    plain = place is not None and place[1] == namespace and place[0] in known and misses(line, host)
    return place if plain or f".{SERVICE_DOMAIN}" in host.casefold() else None


def blames(words: str, host: str, address: str = "") -> bool:
    """Tell whether a failing line names a Service: by its host name, or by its cluster IP."""
    lines = "\n".join(line for line in words.splitlines() if _FAILS.search(line))
    return bool(lines) and (names(lines, host) or (bool(address) and names(lines, address)))


def _in_cluster(host: str, namespace: str) -> tuple[str, str] | None:
    """Return name and namespace of the Service that a host can only be, a pod of a StatefulSet's too; None for any other host."""
    parts = host.casefold().split(".")
    if SERVICE_DOMAIN in parts[2:4]:
        at = parts.index(SERVICE_DOMAIN, 2)
        return parts[at - 2], parts[at - 1]
    if len(parts) == 1 and not parts[0].isdecimal():
        return parts[0], namespace
    return (parts[0], parts[1]) if len(parts) == 2 and parts[1] == namespace else None  # noqa: PLR2004  (name and namespace)


def _number(match: re.Match[str]) -> int | None:
    return int(match["port"]) if match["port"] else None


def left_undone(found: Snapshot) -> list[str]:
    """Return the parts of the control plane that should have gone on with a workload and have not, by their label `component`."""
    top, parts = found.top or {}, []
    waits = [pod for pod in found.pods if not pod["spec"].get("nodeName") and not _scheduled(pod) and _old(pod, found.at)]
    if waits:
        parts.append("kube-scheduler")
    if int(((top.get("status") or {}).get("observedGeneration")) or 0) < int((top.get("metadata") or {}).get("generation") or 0):
        parts.append("kube-controller-manager")
    return parts


def _scheduled(pod: Obj) -> bool:
    return any(row.get("type") == "PodScheduled" for row in (pod.get("status") or {}).get("conditions") or ())


def _old(pod: Obj, now: datetime) -> bool:
    made = moment(pod["metadata"].get("creationTimestamp"))
    return made is not None and now - made > _PROMPT


def times_out(messages: str) -> bool:
    """Tell whether words complain that nothing comes back from an address."""
    return bool(_TIMES_OUT.search(messages))


def denied_zone(corefile: str, hosts: Collection[str]) -> str:
    """Return the zone of Services that a Corefile answers with NXDOMAIN: all of them, or one that a host (`name.namespace`) is in."""
    for match in _TEMPLATE.finditer(corefile[:_APPLIED_TO]):
        zone = match["zone"].casefold().rstrip(".")
        if zone in _ALL_SERVICES or any(
            zone in {f"{host}.svc.cluster.local", f"{host.partition('.')[2]}.svc.cluster.local"} for host in hosts
        ):
            return zone
    return ""
