"""`kubernaut investigate`: why something does not work, and which fix would be chosen, on any cluster or saved objects; the rules."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kubernaut.cli.connecting import KubeconfigOption, kubeconfig_of, with_client
from kubernaut.cli.telling import fail, finish

if TYPE_CHECKING:
    from kubernaut.analysis.investigators.base import Investigator
    from kubernaut.analysis.investigators.rules.judging import Rule
    from kubernaut.analysis.logs import Logs, Wanted
    from kubernaut.api.base import ResourceIdentifier
    from kubernaut.cli.material import Material
    from kubernaut.kube.client import Client
    from kubernaut.settings import Settings

WIDE: Final = 200
_SHORT: Final = {
    "po": "Pod",
    "deploy": "Deployment",
    "rs": "ReplicaSet",
    "sts": "StatefulSet",
    "ds": "DaemonSet",
    "cj": "CronJob",
    "no": "Node",
    "svc": "Service",
    "pvc": "PersistentVolumeClaim",
    "ns": "Namespace",
    "hpa": "HorizontalPodAutoscaler",
    "pdb": "PodDisruptionBudget",
    "netpol": "NetworkPolicy",
    "cm": "ConfigMap",
    "quota": "ResourceQuota",
}
"""kubectl's short names."""

DumpOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--from-dump", help="saved objects in place of a cluster: files, directories with all below them, or -; may be given again"
    ),
]
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="of the object; default: that of the kubeconfig's context")]
WholeOption = Annotated[bool, typer.Option("--whole", help="with --from-dump: what was not saved does not exist")]
AtOption = Annotated[
    datetime | None, typer.Option("--at", help="with --from-dump: when it was saved, UTC; default: the newest moment in it")
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="YAML file of settings, as for kubernaut run")]
OutputOption = Annotated[str, typer.Option("--output", "-o", help="text or json")]


def investigate(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="KIND/NAME or KIND NAME, such as deploy/payment-service; without one: all that is broken, worst first"),
    ] = None,
    namespace: NamespaceOption = "",
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="without a name: all namespaces")] = False,
    from_dump: DumpOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="show every rule that was tried, and why the others lost")] = False,
    output: OutputOption = "text",
    severity: Annotated[str, typer.Option("--severity", help="of the alert that it would be")] = "critical",
    at: AtOption = None,
    whole: WholeOption = False,
    config: ConfigOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Say why something does not work, and which fix would be chosen. Only reads; the cluster needs nothing of ours."""
    known_output(output)
    known_severity(severity)
    if what and everywhere:
        fail("--all-namespaces goes without a name: one object is in one namespace", 2)
    if explain and not what:
        fail("--explain is about one object: write KIND/NAME", 2)
    settings, saved = settings_of(config), saved_of(from_dump, at, whole=whole)
    place = namespace_of(namespace, saved, kubeconfig)
    resource = resource_named(what, place) if what else None

    async def work() -> int:
        material = await material_of(place, settings, saved, kubeconfig)
        asked = Asked(material, settings, severity, output)
        if resource:
            await _about_one(asked, found_in(material, resource, sure=bool(namespace)), rules_known() if explain else ())
        else:
            await _about_all(asked, "" if everywhere or (saved.paths and not namespace) else place)
        return 0

    finish(work())


@dataclass(frozen=True, slots=True)
class Asked:
    """What a diagnosis is made of, and how it is told."""

    material: "Material"
    settings: "Settings"
    severity: str
    output: str


async def _about_one(asked: Asked, resource: "ResourceIdentifier", tried: "Sequence[Rule]") -> None:
    from kubernaut.cli import findings, playing  # noqa: PLC0415  (a command loads only what it runs)

    theatre = playing.Theatre(asked.material, asked.settings, investigators())
    signal = playing.signal_about(resource, asked.material.at, name="Investigation", severity=asked.severity)
    played = await theatre.play(signal)
    if asked.output == "json":
        typer.echo(orjson.dumps(findings.document(asked.material, played, tried), option=orjson.OPT_INDENT_2).decode())
    else:
        findings.show(console(), asked.material, played, tried)


async def _about_all(asked: Asked, namespace: str) -> None:
    from kubernaut.cli import playing, surveying  # noqa: PLC0415  (a command loads only what it runs)

    theatre = playing.Theatre(asked.material, asked.settings, investigators())
    told = await surveying.survey(asked.material, theatre, namespace, asked.severity)
    if asked.output == "json":
        typer.echo(orjson.dumps(surveying.document(told), option=orjson.OPT_INDENT_2).decode())
    else:
        surveying.show(console(), told)


def rules(
    cause: Annotated[str, typer.Argument(help="one cause, in full; none: the list")] = "",
    output: OutputOption = "text",
) -> None:
    """List the causes that the rules recognise, each with its documentation."""
    known_output(output)
    found = [rule for rule in rules_known() if cause.casefold() in {"", rule.cause.casefold()}]
    if not found:
        fail(f"there is no rule for {cause!r}; kubernaut rules lists them")
    if output == "json":
        rows = [{"cause": rule.cause, "about": rule.about, "explains": sorted(rule.explains)} for rule in found]
        typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return
    if cause:
        [rule] = found[:1]
        explained = f"\n\nOf these it is taken for the cause: {', '.join(sorted(rule.explains))}." if rule.explains else ""
        console().print(Text.assemble((rule.cause, "bold"), f"\n{rule.about}{explained}"), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("CAUSE", no_wrap=True)
    table.add_column("WHAT IT RECOGNISES", overflow="fold")
    for rule in found:
        table.add_row(Text(rule.cause), Text(rule.about.partition(". ")[0].rstrip(".") + "."))
    console().print(table)


def rules_known() -> "Sequence[Rule]":
    """Return all rules."""
    from kubernaut.analysis.investigators.rules.registry import ALL  # noqa: PLC0415  (a command loads only what it runs)

    return ALL


def investigators() -> "Sequence[Investigator]":
    """Return who is asked: the rules, which need no network and no money, then those that are installed."""
    from kubernaut.analysis.investigators.installed import with_installed  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.analysis.investigators.rules.investigator import RuleInvestigator  # noqa: PLC0415

    return with_installed((RuleInvestigator(),))


def console() -> Console:
    """Return where to print: as wide as the terminal, or wide enough for a pipe."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def known_output(output: str) -> None:
    """End the command for a form that there is not."""
    if output not in {"text", "json"}:
        fail(f"there is no output {output!r}: it is text or json", 2)


def known_severity(severity: str) -> None:
    """End the command for a severity that there is not."""
    from kubernaut.api.signal import Severity  # noqa: PLC0415  (a command loads only what it runs)

    if severity not in set(Severity):
        fail(f"there is no severity {severity!r}: it is {', '.join(Severity)}", 2)


def settings_of(config: Path | None) -> "Settings":
    """Return the settings of a file; end the command where it cannot be used."""
    from kubernaut.api.base import Unusable  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.settings import load  # noqa: PLC0415

    try:
        return load(config)
    except Unusable as error:
        fail(str(error), 2)


def resource_named(words: Sequence[str], namespace: str) -> "ResourceIdentifier":
    """Return the object that KIND/NAME or KIND NAME means; kinds by their name, plural or kubectl's short name."""
    from kubernaut.api import core  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.api.base import ResourceIdentifier  # noqa: PLC0415

    kind, slash, name = "/".join(words).partition("/")
    if not slash or not kind or not name or "/" in name:
        fail(f"{' '.join(words)!r} names no object: write KIND/NAME, such as deploy/payment-service", 2)
    folded = kind.casefold()
    plurals = {card.plural: card.kind for card in core.KNOWN}
    card = core.kind_named(_SHORT.get(folded) or plurals.get(folded) or folded)
    if card is None:
        fail(f"there is no kind {kind!r} that is known here", 2)
    return ResourceIdentifier(kind=card.kind, name=name, namespace=namespace if card.namespaced else "", api_version=card.api_version)


def namespace_of(given: str, saved: "Saved", kubeconfig: Path | None) -> str:
    """Return the namespace that is meant: the one given, else that of the kubeconfig's context; of saved objects `default`."""
    from kubernaut.kube.kubeconfig import DEFAULT_NAMESPACE, KubeconfigError, namespace  # noqa: PLC0415  (a command loads only what it runs)

    if given or saved.paths:
        return given or DEFAULT_NAMESPACE
    try:
        return namespace(kubeconfig_of(kubeconfig))
    except KubeconfigError as fault:
        fail(str(fault))


def found_in(material: "Material", resource: "ResourceIdentifier", *, sure: bool) -> "ResourceIdentifier":
    """Return an object that is there; where no namespace was given (not `sure`) and one alone has that name, the one it is in."""
    from kubernaut.api import core  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.kube.cluster import NotWatched  # noqa: PLC0415

    card = core.kind_named(resource.kind)
    try:
        named = [obj for obj in material.cluster.objects(card) if obj["metadata"]["name"] == resource.name] if card else []
    except NotWatched:
        named = []
    places = sorted(str(obj["metadata"].get("namespace", "")) for obj in named)
    if resource.namespace in places or not places:
        must_be_there(material, resource)
        return resource
    if len(places) > 1 or sure:
        fail(
            f"there is no {resource.kind} {resource.name!r} in namespace {resource.namespace}; use -n with one of: {', '.join(places[:5])}"
        )
    return resource.model_copy(update={"namespace": places[0]})


def must_be_there(material: "Material", resource: "ResourceIdentifier") -> None:
    """End the command where neither the object is there nor an event about it: a name that was mistyped has no cause."""
    from kubernaut.analysis.reading import BY_SUBJECT, subject_key  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.api import core  # noqa: PLC0415
    from kubernaut.kube.cluster import NotWatched  # noqa: PLC0415

    card = core.kind_named(resource.kind)
    try:
        there = card is not None and material.cluster.read(card, resource.namespace, resource.name) is not None
        unread = card is not None and material.cluster.unread(card)
    except NotWatched:
        fail(f"objects of kind {resource.kind} are not investigated", 2)
    there = there or bool(material.cluster.select(core.EVENT, BY_SUBJECT, subject_key(resource.kind, resource.namespace, resource.name)))
    if unread and not there:
        fail(f"{resource.kind} objects could not be read: {unread.why}")
    if not there:
        where = f" in namespace {resource.namespace}" if resource.namespace else ""
        fail(f"there is no {resource.kind} {resource.name!r}{where} ({material.origin})")


@dataclass(frozen=True, slots=True)
class Saved:
    """Saved objects, if any, and what is said of them."""

    paths: Sequence[Path]
    at: datetime | None = None
    whole: bool = False


def saved_of(paths: Sequence[Path] | None, at: datetime | None, *, whole: bool) -> Saved:
    """Return the saved objects that a command names; end it where it says of them what goes with a dump alone."""
    if not paths and (at or whole):
        fail(f"{'--at' if at else '--whole'} goes only with --from-dump", 2)
    return Saved(paths or (), at, whole=whole)


async def material_of(namespace: str, settings: "Settings", saved: Saved, kubeconfig: Path | None) -> "Material":
    """Read the saved objects, else the cluster."""
    from kubernaut.cli.material import of_cluster, of_files  # noqa: PLC0415  (a command loads only what it runs)

    now = datetime.now(UTC)
    if saved.paths:
        return of_files(saved.paths, now, saved.at.replace(tzinfo=UTC) if saved.at else None, whole=saved.whole)
    found: list[Material] = []

    async def read(client: "Client") -> None:
        found.append(await of_cluster(client, (namespace, settings.namespace), now))

    await with_client(kubeconfig, read)
    return replace(found[0], logs=_LogsLater(kubeconfig))


@dataclass(frozen=True, slots=True)
class _LogsLater:
    """Logs of a cluster whose objects were read before: over a connection of their own."""

    kubeconfig: Path | None

    async def read(self, wanted: "Sequence[Wanted]") -> "Logs":
        """Read them."""
        from kubernaut.analysis.logs import ApiLogs  # noqa: PLC0415  (a command loads only what it runs)

        found: list[Logs] = []

        async def ask(client: "Client") -> None:
            found.append(await ApiLogs(client).read(wanted))

        await with_client(self.kubeconfig, ask)
        return found[0]
