"""The command line."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from kubernaut import manifests
from kubernaut.api.approval import Decision
from kubernaut.api.base import Unusable
from kubernaut.cli import approving, cluster, reading
from kubernaut.cli.places import Place, default_place, demo_place, running_place
from kubernaut.cli.screen import Screen
from kubernaut.cli.telling import fail, finish
from kubernaut.cli.trail import read_trail
from kubernaut.kube.client import Client
from kubernaut.telemetry import configure_logging

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="From a Kubernetes alert to a verified fix."
)
app.add_typer(cluster.app, name="cluster")

KubeconfigOption = Annotated[
    Path | None, typer.Option("--kubeconfig", help="default: $KUBECONFIG, the embedded cluster that runs, ~/.kube/config")
]
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="where the RemediationRequests are")]
WIDE = 200
"""Columns of a table that no terminal shows."""
SYSTEM = manifests.SYSTEM_NAMESPACE


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run something until SIGINT or SIGTERM, whatever it is at: filling its caches, waiting to lead, or leading."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running, told = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, told):
        task.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def _with_client(kubeconfig: Path | None, use: Callable[[Client], Coroutine[Any, Any, int | None]]) -> int | None:
    client = Client.from_kubeconfig(_kubeconfig(kubeconfig))
    try:
        return await use(client)
    finally:
        await client.close()


def _kubeconfig(given: Path | None) -> str | None:
    """Return the kubeconfig to use: the one given, $KUBECONFIG, the running embedded cluster's, else the usual places."""
    if given is not None:
        return str(given)
    if os.environ.get("KUBECONFIG"):
        return None
    place = running_place()
    return str(place.kubeconfig) if place else None


@app.command()
def demo(
    path: Annotated[str, typer.Option(help="catalogue: a Tekton workflow; steps: typed actions")] = "catalogue",
    interactive: Annotated[bool, typer.Option("--interactive", help="wait for your own kubernaut approve")] = False,
    state: Annotated[Path | None, typer.Option(help="where to keep the demo's state; wiped first")] = None,
    story: Annotated[str, typer.Option(help="which story to play")] = "payment-service",
) -> None:
    """Play the whole story: alert, diagnosis, approval, fix, verification, audit trail."""
    if path not in {"catalogue", "steps"}:
        fail(f"there is no path {path!r}: it is catalogue or steps", 2)
    from kubernaut.cli.demo import demo as play  # noqa: PLC0415  (a command loads only what it runs)

    configure_logging(level="error", form="console")
    place = Place(state) if state else demo_place()
    finish(play(place, Screen(), steps=path == "steps", interactive=interactive, name=story))


@app.command()
def up(
    state: Annotated[Path | None, typer.Option(help="where its state is kept")] = None,
    story: Annotated[str, typer.Option(help="the situation to begin with; none for an empty cluster")] = "payment-service",
    free_ports: Annotated[bool, typer.Option("--free-ports", help="take any free ports instead of the fixed ones")] = False,
    off: Annotated[list[str] | None, typer.Option(help="a stand-in to leave out; may be given again")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="forget the state first")] = False,
) -> None:
    """Keep an embedded cluster with all parts running until Ctrl-C."""
    from kubernaut.cli.embedded import FIXED, STAND_INS, Ports  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.cli.up import up as keep_up  # noqa: PLC0415

    if unknown := sorted(set(off or ()) - STAND_INS):
        fail(f"there are no stand-ins {', '.join(unknown)}; the stand-ins are {', '.join(sorted(STAND_INS))}", 2)
    configure_logging(level="warning", form="console")
    place = Place(state) if state else default_place()
    ports = Ports() if free_ports else FIXED
    finish(keep_up(place, ports, Screen(), name=story, off=frozenset(off or ()), fresh=fresh))


@app.command()
def run(
    parts: Annotated[list[str] | None, typer.Argument(help="all, or the parts to run, such as gateway orchestration")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file of settings")] = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Run all or some parts against the cluster of a kubeconfig, or the one we run in."""
    from kubernaut.settings import load  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.wiring import PARTS, system  # noqa: PLC0415

    wanted = PARTS if not parts or parts == ["all"] else tuple(parts)
    try:
        settings = load(config)
    except Unusable as error:
        fail(str(error), 2)
    configure_logging(level=settings.log_level, form=settings.log_format)

    async def keep(client: Client) -> None:
        async with system(settings, client, parts=wanted, show=Screen().message):
            await asyncio.Event().wait()

    async def work(client: Client) -> None:
        await _until_told(keep(client))

    finish(_with_client(kubeconfig, work))


@app.command()
def crds() -> None:
    """Write the CustomResourceDefinitions as YAML, ready for kubectl apply."""
    typer.echo(yaml.safe_dump_all(manifests.definitions(), sort_keys=False), nl=False)


@app.command()
def get(kubeconfig: KubeconfigOption = None, namespace: NamespaceOption = SYSTEM) -> None:
    """List the cases, newest first."""

    async def work(client: Client) -> None:
        found = await reading.cases(client, namespace)
        console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
        console.print(reading.cases_table(found, datetime.now(UTC)) if found else f"no cases in {namespace}")

    finish(_with_client(kubeconfig, work))


@app.command()
def describe(name: str, kubeconfig: KubeconfigOption = None, namespace: NamespaceOption = SYSTEM) -> None:
    """Show one case in full."""

    async def work(client: Client) -> None:
        found = await reading.case(client, namespace, name)
        if found is None:
            fail(f"there is no case {name!r} in {namespace}; kubernaut get lists them")
        for line in await reading.story_of(client, found):
            typer.echo(line)

    finish(_with_client(kubeconfig, work))


@app.command()
def timeline(
    name: str,
    data_storage: Annotated[str, typer.Option("--data-storage", envvar="KUBERNAUT_SERVICES__DATASTORAGE", help="URL of data storage")] = "",
) -> None:
    """Show what happened in one case, from the audit trail."""
    place = running_place()
    announced = place.announced() if place else None
    url = data_storage or (announced.datastorage if announced else "")
    if not url:
        fail("where is data storage? give --data-storage URL (nothing embedded runs here)", 2)

    async def work() -> None:
        entries = await read_trail(url, name)
        if not entries:
            fail(f"nothing is on record about {name!r}")
        Screen().trail(entries, name)

    finish(work())


@app.command()
def approve(
    name: Annotated[str, typer.Argument(help="the remediation, or the approval request")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="kept with the decision")] = "",
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = SYSTEM,
) -> None:
    """Allow a fix, under your own name. A decision is final."""
    _decide(name, Decision.APPROVED, reason, kubeconfig, namespace)


@app.command()
def reject(
    name: Annotated[str, typer.Argument(help="the remediation, or the approval request")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="kept with the decision")] = "",
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = SYSTEM,
) -> None:
    """Forbid a fix, under your own name. A decision is final."""
    _decide(name, Decision.REJECTED, reason, kubeconfig, namespace)


def _decide(name: str, decision: Decision, reason: str, kubeconfig: Path | None, namespace: str) -> None:
    async def work(client: Client) -> None:
        request = await approving.find_request(client, namespace, name)
        stored = await approving.answer(client, request, decision, reason, datetime.now(UTC))
        wanted = stored.spec.recommendation
        typer.echo(f"{wanted.action} on {wanted.target_resource} {decision.value.lower()} by {stored.status.decided_by}")

    finish(_with_client(kubeconfig, work))


def main() -> None:
    """Run the command line."""
    with suppress(BrokenPipeError):
        app()


if __name__ == "__main__":
    main()
