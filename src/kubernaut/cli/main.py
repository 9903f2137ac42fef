"""The command line."""

import asyncio
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console

from kubernaut import manifests
from kubernaut.api.approval import Decision
from kubernaut.api.base import Unusable
from kubernaut.api.brake import EVERYWHERE, told
from kubernaut.cli import (
    approving,
    auditing,
    bundling,
    cancelling,
    clearing,
    cluster,
    investigating,
    pausing,
    policies,
    questions,
    reading,
    rehearsing,
    routing,
    tables,
)
from kubernaut.cli.connecting import KubeconfigOption, with_client
from kubernaut.cli.places import Place, default_place, demo_place
from kubernaut.cli.screen import Screen
from kubernaut.cli.starting import for_good, settled, until_told
from kubernaut.cli.storage import DataStorageOption, TokenFileOption, TokenOption
from kubernaut.cli.storage import data_storage as reach
from kubernaut.cli.telling import be_sure, fail, finish
from kubernaut.kube.client import Client
from kubernaut.telemetry import configure_logging

LOOKING, ACTING, RUNNING, TOOLS = "Look", "Decide", "Run", "Tools"
"""Under which headings the commands are listed."""
EXIT_CODES = "Exit codes: 0 done; 1 it did not work out, and the last line says why; 2 wrong arguments or settings; 130 Ctrl-C."
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, epilog=EXIT_CODES)
app.add_typer(cluster.app, name="cluster", rich_help_panel=TOOLS)
app.add_typer(auditing.app, name="audit", rich_help_panel=TOOLS)
app.add_typer(bundling.bundles, name="bundle", rich_help_panel=TOOLS)
app.add_typer(bundling.workflows, name="catalog", rich_help_panel=TOOLS)
app.add_typer(routing.routes, name="routes", rich_help_panel=TOOLS)
app.add_typer(policies.app, name="policy", rich_help_panel=TOOLS)
app.command(rich_help_panel=LOOKING)(investigating.investigate)
app.command(rich_help_panel=LOOKING)(investigating.rules)
app.command(rich_help_panel=LOOKING)(rehearsing.rehearse)

CaseArgument = Annotated[str, typer.Argument(help="the remediation, as kubernaut get lists it")]
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="where the RemediationRequests are")]
WIDE = 200
"""Columns of a table that no terminal shows."""
SYSTEM = manifests.SYSTEM_NAMESPACE


def _told_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  (a command loads only what it runs)

        typer.echo(f"kubernaut {version('kubernaut')}")
        raise typer.Exit


@app.callback()
def kubernaut(
    *,
    _version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_told_version, help="say which version this is")] = False,
) -> None:
    """From a Kubernetes alert to a verified fix."""


@app.command(rich_help_panel=RUNNING)
def demo(
    path: Annotated[str, typer.Option(help="catalogue: a Tekton workflow; steps: typed actions")] = "catalogue",
    interactive: Annotated[bool, typer.Option("--interactive", help="wait for your own kubernaut approve")] = False,
    state: Annotated[Path | None, typer.Option(help="where to keep the demo's state; wiped first")] = None,
    story: Annotated[str, typer.Option(help="which story to play")] = "payment-service",
) -> None:
    """Play the whole story: alert, diagnosis, approval, fix, verification, audit trail."""
    if path not in {"catalogue", "steps"}:
        fail(f"there is no path {path!r}: it is catalogue or steps", 2)
    with for_good():
        from kubernaut.cli.demo import demo as play  # noqa: PLC0415  (a command loads only what it runs)

    configure_logging(level="error", form="console")
    place = Place(state) if state else demo_place()
    finish(play(place, Screen(), steps=path == "steps", interactive=interactive, name=story))


@app.command(rich_help_panel=RUNNING)
def up(
    state: Annotated[Path | None, typer.Option(help="where its state is kept; default: ~/.local/state/kubernaut/up")] = None,
    story: Annotated[str, typer.Option(help="the situation to begin with; none for an empty cluster")] = "payment-service",
    free_ports: Annotated[bool, typer.Option("--free-ports", help="take any free ports instead of the fixed ones")] = False,
    off: Annotated[list[str] | None, typer.Option(help="a stand-in to leave out; may be given again")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="forget the state first")] = False,
) -> None:
    """Keep an embedded cluster with all parts running until Ctrl-C."""
    with for_good():
        from kubernaut.cli.embedded import FIXED, STAND_INS, Ports  # noqa: PLC0415  (a command loads only what it runs)
        from kubernaut.cli.up import up as keep_up  # noqa: PLC0415

    if unknown := sorted(set(off or ()) - STAND_INS):
        fail(f"there are no stand-ins {', '.join(unknown)}; the stand-ins are {', '.join(sorted(STAND_INS))}", 2)
    configure_logging(level="warning", form="console")
    place = Place(state) if state else default_place()
    ports = Ports() if free_ports else FIXED
    finish(keep_up(place, ports, Screen(), name=story, off=frozenset(off or ()), fresh=fresh))


@app.command(rich_help_panel=RUNNING)
def run(
    parts: Annotated[list[str] | None, typer.Argument(help="all, or the parts to run, such as gateway orchestration")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file of settings")] = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Run all or some parts against the cluster of a kubeconfig, or the one we run in."""
    with for_good():
        from kubernaut.settings import load  # noqa: PLC0415  (a command loads only what it runs)
        from kubernaut.wiring import PARTS, system  # noqa: PLC0415

    wanted = PARTS if not parts or parts == ["all"] else tuple(parts)
    if unknown := sorted(set(wanted) - set(PARTS)):
        fail(f"there are no parts {', '.join(unknown)}; the parts are {', '.join(PARTS)}", 2)
    try:
        settings = load(config)
    except Unusable as error:
        fail(str(error), 2)
    configure_logging(level=settings.log_level, form=settings.log_format)

    async def keep(client: Client) -> None:
        async with system(settings, client, parts=wanted, show=Screen().message):
            settled()
            await asyncio.Event().wait()

    async def work(client: Client) -> None:
        await until_told(keep(client))

    finish(with_client(kubeconfig, work))


@app.command(rich_help_panel=RUNNING)
def crds() -> None:
    """Write the CustomResourceDefinitions as YAML, ready for kubectl apply."""
    typer.echo(yaml.safe_dump_all(manifests.definitions(), sort_keys=False), nl=False)


@app.command(rich_help_panel=LOOKING)
def get(kubeconfig: KubeconfigOption = None, namespace: NamespaceOption = SYSTEM) -> None:
    """List the cases, newest first."""

    async def work(client: Client) -> None:
        found = await reading.cases(client, namespace)
        if not found:
            typer.echo(f"no cases in {namespace}")
            return
        tables.show(_console(), reading.CASES, reading.cases_rows(found, datetime.now(UTC)))

    finish(with_client(kubeconfig, work))


@app.command(rich_help_panel=LOOKING)
def describe(name: CaseArgument, kubeconfig: KubeconfigOption = None, namespace: NamespaceOption = SYSTEM) -> None:
    """Show one case in full."""

    async def work(client: Client) -> None:
        found = await reading.case(client, namespace, name)
        if found is None:
            fail(f"there is no case {name!r} in {namespace}: kubernaut get lists them, show NAME --from-audit tells of one that is gone")
        for line in await reading.story_of(client, found):
            typer.echo(line)

    finish(with_client(kubeconfig, work))


@app.command(rich_help_panel=LOOKING)
def show(
    name: CaseArgument,
    from_audit: Annotated[bool, typer.Option("--from-audit", help="as the audit trail tells it, even when it is gone")] = False,
    data_storage: DataStorageOption = "",
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = SYSTEM,
) -> None:
    """Show one case in full, from the cluster or from the audit trail."""
    if not from_audit:
        describe(name, kubeconfig, namespace)

    async def work() -> None:
        storage = await reach(data_storage, token=token, token_file=token_file, kubeconfig=kubeconfig)
        for line in await auditing.shown(storage, name):
            typer.echo(line)

    finish(work())


@app.command(rich_help_panel=RUNNING)
def migrate(config: Annotated[Path | None, typer.Option("--config", help="YAML file of settings")] = None) -> None:
    """Bring the audit database's schema up to date, where a start may not (datastorage.migrate: false)."""
    auditing.migrate(config)


app.command(rich_help_panel=LOOKING)(auditing.timeline)

NameArgument = Annotated[str, typer.Argument(help="the remediation, or the approval request")]
MessageOption = Annotated[str, typer.Option("--message", "--reason", "-m", help="kept with the decision")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="neither show it nor ask whether you are sure")]


@app.command(rich_help_panel=LOOKING)
def approvals(
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = SYSTEM,
) -> None:
    """List what waits for a person's decision, the most urgent first."""

    async def work(client: Client) -> None:
        found = await approving.waiting(client, namespace)
        if not found:
            typer.echo(f"nothing waits for a decision in {namespace}")
            return
        tables.show(_console(), questions.APPROVALS, questions.approvals_rows(found, datetime.now(UTC)))

    finish(with_client(kubeconfig, work))


@app.command(rich_help_panel=ACTING)
def approve(
    name: NameArgument,
    message: MessageOption = "",
    yes: YesOption = False,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = SYSTEM,
) -> None:
    """Allow a fix, under your own name, after a look at what it changes. A decision is final."""
    _decide(name, Decision.APPROVED, message, kubeconfig, namespace, yes=yes)


@app.command(rich_help_panel=ACTING)
def reject(
    name: NameArgument,
    message: MessageOption = "",
    yes: YesOption = False,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = SYSTEM,
) -> None:
    """Forbid a fix, under your own name. A decision is final."""
    _decide(name, Decision.REJECTED, message, kubeconfig, namespace, yes=yes)


def _decide(name: str, decision: Decision, message: str, kubeconfig: Path | None, namespace: str, *, yes: bool) -> None:
    async def work(client: Client) -> None:
        request = await approving.find_request(client, namespace, name)
        approving.must_be_open(request, datetime.now(UTC))
        if not yes:
            questions.show(_console(), request, datetime.now(UTC))
            be_sure(f"{'Approve' if decision is Decision.APPROVED else 'Reject'} it? A decision is final", "nothing was decided")
        stored = await approving.answer(client, request, decision, message, datetime.now(UTC))
        typer.echo(questions.outcome(stored))

    finish(with_client(kubeconfig, work))


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


ScopeOption = Annotated[str, typer.Option("--namespace", "-n", help="only what acts on this namespace; default: everything")]
SystemOption = Annotated[str, typer.Option("--system", help="where the RemediationRequests are")]


@app.command(rich_help_panel=ACTING)
def pause(
    namespace: ScopeOption = EVERYWHERE,
    reason: Annotated[str, typer.Option("--reason", "-m", help="told to everybody whose fix waits")] = "",
    cancel: Annotated[bool, typer.Option("--cancel", help="cancel what is running, too")] = False,
    kubeconfig: KubeconfigOption = None,
    system: SystemOption = SYSTEM,
) -> None:
    """Start no fix any more, under your own name, until somebody resumes; what runs is finished unless --cancel."""

    async def work(client: Client) -> None:
        found = await pausing.pause(client, system, namespace, reason, datetime.now(UTC), cancel=cancel)
        typer.echo(f"{told(found)}; kubernaut status shows what is held, kubernaut resume lets it go on")

    finish(with_client(kubeconfig, work))


@app.command(rich_help_panel=ACTING)
def resume(
    namespace: ScopeOption = EVERYWHERE,
    reason: Annotated[str, typer.Option("--reason", "-m", help="kept on record")] = "",
    kubeconfig: KubeconfigOption = None,
    system: SystemOption = SYSTEM,
) -> None:
    """Lift a pause, under your own name; what waited goes on."""

    async def work(client: Client) -> None:
        left = await pausing.resume(client, system, namespace, reason)
        typer.echo("\n".join(["resumed", *(f"still {told(each)}" for each in left)]))

    finish(with_client(kubeconfig, work))


@app.command(rich_help_panel=ACTING)
def cancel(
    name: Annotated[str, typer.Argument(help="the remediation")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="kept on record, and told to everybody who hears of the case")] = "",
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = SYSTEM,
) -> None:
    """Cancel a case under your own name: what has not begun is withdrawn, what is at work is stopped."""

    async def work(client: Client) -> None:
        typer.echo(f"{name} is being cancelled; {await cancelling.cancel(client, namespace, name, reason)}")

    finish(with_client(kubeconfig, work))


@app.command(rich_help_panel=ACTING)
def clear(
    name: Annotated[str, typer.Argument(help="the target, the WorkflowExecution that failed, or its remediation; none: list them")] = "",
    reason: Annotated[str, typer.Option("--reason", "-m", help="what you saw; kept on record")] = "",
    kubeconfig: KubeconfigOption = None,
    system: SystemOption = SYSTEM,
) -> None:
    """Let a target be worked on again after a run that failed under way, under your own name, once you have looked at it."""

    async def work(client: Client) -> None:
        if not name:
            found = await clearing.waiting(client, system)
            typer.echo("\n".join(map(clearing.line, found)) or f"no target waits to be cleared in {system}")
            return
        cleared = await clearing.clear(client, system, name, reason, datetime.now(UTC))
        typer.echo(f"{cleared.spec.target_resource} is cleared: it may be worked on again")

    finish(with_client(kubeconfig, work))


@app.command(rich_help_panel=ACTING)
def undo(
    name: Annotated[str, typer.Argument(help="the remediation, or the KubernetesExecution or WorkflowExecution that carried its fix out")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only show what would be taken back")] = False,
    yes: YesOption = False,
    reason: Annotated[str, typer.Option("--reason", "-m", help="why; kept on record")] = "",
    kubeconfig: KubeconfigOption = None,
    system: SystemOption = SYSTEM,
) -> None:
    """Take a fix back, under your own name, if nobody else has changed the same fields since; else show the conflict."""
    from kubernaut.cli import undoing  # noqa: PLC0415  (a command loads only what it runs)

    async def work(client: Client) -> int:
        execution = await undoing.find(client, system, name)
        if not yes or dry_run:
            found = await undoing.preview(client, execution)
            typer.echo("\n".join(undoing.lines(found, planned=True)))
            if why := undoing.verdict(found):
                fail(why)
            if dry_run:
                return 0
            be_sure("Take it back?", "nothing was asked for")
        asked = await undoing.ask(client, execution, reason, datetime.now(UTC))
        return undoing.tell(await undoing.answer(client, execution, asked), execution)

    finish(with_client(kubeconfig, work))


@app.command(rich_help_panel=LOOKING)
def status(kubeconfig: KubeconfigOption = None, system: SystemOption = SYSTEM) -> None:
    """Show whether work is paused, how much is running, and what waits for what."""

    async def work(client: Client) -> None:
        for line in await pausing.status_lines(client, system, datetime.now(UTC)):
            typer.echo(line)

    finish(with_client(kubeconfig, work))


def main() -> None:
    """Run the command line."""
    with suppress(BrokenPipeError):
        app()


if __name__ == "__main__":
    main()
