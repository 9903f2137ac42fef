"""What programs write into their logs: the lines that tell of trouble, held against the cluster's objects. Pure.

A log names no target and no fix: it is matched like last words, it is quoted to people, and it can make a mere symptom less sure. Services
that it names are looked up, so that a person reads at once whether they exist and whether anything stands behind them.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from kubernaut.analysis.containers import Container, containers, pod_ready
from kubernaut.analysis.investigators.base import TEXT_LIMIT, Evidence
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, evidence, sure
from kubernaut.analysis.leads import RECENT, labels_of, matches, own_words, selector_of
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

LINES: Final = 12
"""Lines of a log that are judged: the last of those that tell of trouble."""
GRUDGES: Final = 5
"""Lines that tell of errors, among the last of a log, from which a program that serves is believed to be in trouble: one or two tell
nothing."""
GRUDGING: Final = 0.1
"""The part of its lines that such errors must be: who says much says some of it in vain."""
_LATELY: Final = 10
"""Lines before the end within which the last trouble of a program that serves stands; else it is over."""
_ERROR: Final = re.compile(
    r"\b(ERROR|ERR|FATAL|CRITICAL|CRIT|SEVERE|PANIC|EMERG)\b|\b(level|severity)[\"']?\s*[:=]\s*[\"']?(error|fatal|panic|crit)"
    r"|\[(error|crit|alert|emerg)\]|^E\d{4} |^F\d{4} |\b[A-Za-z]*(Error|Exception): |^panic: |^Traceback "
)
"""How programs mark a fault of their own, not of their callers."""
UNHEARD_WEIGHT: Final = -0.06
"""For a symptom, where the program's log tells of a grave fault that the symptom does not explain."""
NAMED_WEIGHT: Final = 0.08
"""For a dependency that is out of reach, where the cluster shows that it is."""
_SERVICES: Final = 3
_TROUBLE: Final = re.compile(
    r"error|fatal|panic|exception|traceback|critical|refused|denied|forbidden|fail|cannot|could ?n[o']t|unable|no such|not found"
    r"|timed? ?out"
    r"|unauthori[sz]ed|out of memory|heap space|no space left|already in use|expired|\bx509\b|deadlock|dirty|missing|required|invalid"
    r"|unknown|\b(DETAIL|HINT|CAUSE|Caused by)\b:"
    r"|^[EF]\d{4} |\bE[A-Z]{5,}\b",
    re.IGNORECASE,
)
_GRAVE: Final = re.compile(
    r"^(panic: |fatal error: |Traceback |Exception in thread |\S*[a-z](Exception|Error): |.{0,60}\bFATAL\b)", re.MULTILINE
)
"""How programs write of an end that they did not foresee."""
_CALM: Final = re.compile(r"\b(INFO|DEBUG|TRACE|NOTICE)\b|\blevel[\"']?\s*[=:]\s*[\"']?(info|debug|trace)|^I\d{4} ")
_WARNS: Final = re.compile(r"\bWARN(ING)?\b|(level|severity)[\"']?\s*[:=]\s*[\"']?warn", re.IGNORECASE)
"""How programs mark what they cope with: trouble only where most lines are of that kind."""
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_UNREACHED: Final = re.compile(
    r"refused|no such host|timed? ?out|i/o timeout|unreachable|no route|name resolution|could not (connect|translate)|ECONN|ENOTFOUND"
    r"|UnknownHost|getaddrinfo|reset",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*", re.IGNORECASE)
_LOOKUP: Final = re.compile(
    r"\blookup (?P<host>[a-z0-9][-a-z0-9.]*[a-z0-9])|\bENOTFOUND (?P<other>[a-z0-9][-a-z0-9.]*[a-z0-9])", re.IGNORECASE
)


def telling(text: str) -> str:
    """Return the last lines of a log that tell of trouble, without the rest; its last lines where none does."""
    lines = [line for line in _COLOURS.sub("", text).splitlines() if line.strip()]
    found = [line for line in lines if _TROUBLE.search(line) and not _CALM.search(line)]
    return "\n".join((found or lines)[-LINES:])


def complaining(snapshot: Snapshot) -> Iterator[tuple[Container, str]]:
    """Yield the containers that run and do not serve, each with what its log tells of trouble."""
    for container in containers(snapshot):
        log = snapshot.logs.get(container.key, "")
        if log and container.running_since and not container.ready and not any(end.exit_code for end in container.ends()):
            yield container, telling(log)


def murmuring(snapshot: Snapshot) -> Iterator[tuple[Container, list[str]]]:
    """Yield the containers that serve and complain all the same, each with the lines of its log that it marks as errors of its own."""
    yield from _grudging(snapshot, _errors)


def protesting(snapshot: Snapshot) -> Iterator[tuple[Container, list[str]]]:
    """Yield the containers that serve and whose log ends in trouble, each with the lines of that end, whatever they are marked as.

    What a server writes of its clients' faults is among them: rules that listen here must not take words that are about those who call it.
    """
    yield from _grudging(snapshot, _troubles)


def _grudging(snapshot: Snapshot, tells: Callable[[list[str]], list[int]]) -> Iterator[tuple[Container, list[str]]]:
    """Yield the containers that serve and whose logs tell of something several times, lately, and not among much else."""
    for container in containers(snapshot):
        log = own_words(_COLOURS.sub("", snapshot.logs.get(container.key, ""))) if container.ready and not container.init else ""
        rows = [line for line in log.splitlines() if line.strip()]
        found = tells(rows)
        if len(found) >= max(GRUDGES, GRUDGING * len(rows)) and len(rows) - found[-1] <= _LATELY:
            yield container, [rows[number] for number in found]


def _errors(rows: list[str]) -> list[int]:
    return [number for number, line in enumerate(rows) if _ERROR.search(line) and not _CALM.search(line)]


def _troubles(rows: list[str]) -> list[int]:
    """Return which of the last lines tell of trouble; warnings are none where most goes well."""
    late = range(max(0, len(rows) - RECENT), len(rows))
    told = [number for number in late if _TROUBLE.search(rows[number]) and not _CALM.search(rows[number])]
    return told if 2 * len(told) >= len(late) else [number for number in told if not _WARNS.search(rows[number])]


def line_of(text: str, match: re.Match[str]) -> str:
    """Return the line of a text that a match begins in."""
    start = text.rfind("\n", 0, match.start()) + 1
    return text[start : max(match.end(), start + TEXT_LIMIT)].partition("\n")[0]


def logged(container: Container, text: str) -> Evidence:
    """Return a container's log as evidence: the end of what is given."""
    return evidence(container.pod, f"log[{container.name}]", text[-TEXT_LIMIT:], "what its log says")


def quoted(snapshot: Snapshot) -> tuple[Evidence, ...]:
    """Return what the logs say, where no cause is known."""
    texts = ((container, snapshot.logs.get(container.key, "")) for container in containers(snapshot))
    return tuple(logged(container, telling(text)) for container, text in texts if text)[:2]


def heard(snapshot: Snapshot, best: Candidate) -> Candidate:
    """Return a cause with what the logs say of it, for a person to read; one that only says how it shows may be less sure for it."""
    if best.cause not in SYMPTOMS or best.target != snapshot.target:
        return best
    texts = [(container, telling(log)) for container in containers(snapshot) if (log := snapshot.logs.get(container.key))]
    named = tuple(_services(snapshot, "\n".join(text for _, text in texts)))
    told = any(row.field.startswith("log[") for row in best.evidence)
    said = () if told else tuple(logged(container, text) for container, text in texts[:1])
    return replace(
        best, evidence=(*best.evidence, *said, *(row for row, _ in named)), confidence=_confidence(best, texts, named, told=told)
    )


def _confidence(best: Candidate, texts: list[tuple[Container, str]], named: tuple[tuple[Evidence, bool], ...], *, told: bool) -> float:
    if best.cause == "DependencyUnreachable":
        return sure(best.confidence, NAMED_WEIGHT if any(away for _, away in named) else 0.0)
    unheard = not told and any(_GRAVE.search(text) for _, text in texts)
    return sure(best.confidence, UNHEARD_WEIGHT if unheard else 0.0)


def _services(snapshot: Snapshot, text: str) -> Iterator[tuple[Evidence, bool]]:
    """Yield what is known of the Services that failing lines name, and whether it explains that nobody answers."""
    lines = "\n".join(line for line in text.splitlines() if _UNREACHED.search(line))
    found: dict[str, tuple[Evidence, bool]] = {}
    for service in snapshot.of("Service"):
        if _names(service, lines):
            found[service["metadata"]["name"]] = _state(snapshot, service)
    for match in _LOOKUP.finditer(lines):
        host = (match["host"] or match["other"]).rstrip(".")
        if snapshot.knows("Service") and _own(host, snapshot) and snapshot.named("Service", host.partition(".")[0]) is None:
            where = Evidence(
                f"namespace/{snapshot.target.namespace}", "services", host, "speaks for it: no Service has the name it looks up"
            )
            found.setdefault(host, (where, True))
    yield from list(found.values())[:_SERVICES]


def _names(service: Obj, lines: str) -> bool:
    """Tell whether lines name a Service: as a host of its own, or by its address."""
    meta, address = service["metadata"], str(service["spec"].get("clusterIP") or "None")
    hosts = {match[0].casefold() for match in _NAME.finditer(lines)}
    name, namespace = meta["name"], meta.get("namespace", "")
    return bool(hosts & {name, f"{name}.{namespace}", f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local", address})


def _state(snapshot: Snapshot, service: Obj) -> tuple[Evidence, bool]:
    """Return how many pods answer for a Service, and whether none does."""
    selector, name = selector_of(service), service["metadata"]["name"]
    if selector is None:
        return evidence(service, "spec.selector", "", f"its log names Service {name}, which chooses no pods itself"), False
    pods = [pod for pod in snapshot.of("Pod") if matches(selector, labels_of(pod))]
    ready = sum(pod_ready(pod) for pod in pods)
    says = f"its log names Service {name}: {ready} of {len(pods)} pods behind it are ready"
    return evidence(
        service, "spec.selector", ",".join(f"{key}={value}" for key, value in sorted(selector["matchLabels"].items())), says
    ), not ready


def _own(host: str, snapshot: Snapshot) -> bool:
    """Tell whether a host can only be a Service of the target's own namespace."""
    name, _, rest = host.partition(".")
    return bool(name) and (not rest or rest.split(".")[0] == snapshot.target.namespace)
