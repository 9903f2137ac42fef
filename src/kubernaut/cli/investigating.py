"""`kubernaut investigate`: why something does not work, and which fix would be chosen, on any cluster or saved objects; the rules."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kubernaut.cli.connecting import KubeconfigOption, with_client
from kubernaut.cli.telling import fail, finish

if TYPE_CHECKING:
    from kubernaut.analysis.investigators.base import Investigator
    from kubernaut.analysis.investigators.rules.judging import Rule
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
WholeOption = Annotated[bool, typer.Option("--whole", help="with --from-dump: what was not saved does not exist")]
AtOption = Annotated[
    datetime | None, typer.Option("--at", help="with --from-dump: when it was saved, UTC; default: the newest moment in it")
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="YAML file of settings, as for kubernaut run")]
OutputOption = Annotated[str, typer.Option("--output", "-o", help="text or json")]


def investigate(
    what: Annotated[list[str], typer.Argument(help="KIND/NAME or KIND NAME, such as deploy/payment-service")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="of the object")] = "default",
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
    from kubernaut.cli import findings, playing  # noqa: PLC0415  (a command loads only what it runs)

    known_output(output)
    resource, settings = resource_named(what, namespace), settings_of(config)
    known_severity(severity)

    async def work() -> int:
        material = await material_of(resource.namespace, settings, Saved(from_dump or (), at, whole=whole), kubeconfig)
        must_be_there(material, resource)
        theatre = playing.Theatre(material, settings, investigators())
        played = await theatre.play(playing.signal_about(resource, material.at, name="Investigation", severity=severity))
        tried = rules_known() if explain else ()
        if output == "json":
            typer.echo(orjson.dumps(findings.document(material, played, tried), option=orjson.OPT_INDENT_2).decode())
        else:
            findings.show(console(), material, played, tried)
        return 0

    finish(work())


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


def must_be_there(material: "Material", resource: "ResourceIdentifier") -> None:
    """End the command where an object is not in the cluster: a name that was mistyped has no cause."""
    from kubernaut.api import core  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.kube.cluster import NotWatched  # noqa: PLC0415

    card = core.kind_named(resource.kind)
    try:
        there = card is not None and material.cluster.read(card, resource.namespace, resource.name) is not None
        unread = card is not None and material.cluster.unread(card)
    except NotWatched:
        fail(f"objects of kind {resource.kind} are not investigated", 2)
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
    return found[0]
