"""`kubernaut rehearse`: what would follow an alert, step by step, on a cluster or on saved objects; nothing is changed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer
import yaml
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from kubernaut.cli.connecting import KubeconfigOption
from kubernaut.cli.investigating import (
    AtOption,
    ConfigOption,
    DumpOption,
    NamespaceOption,
    WholeOption,
    console,
    found_in,
    investigators,
    known_severity,
    material_of,
    namespace_of,
    resource_named,
    saved_of,
    settings_of,
)
from kubernaut.cli.telling import fail, finish

if TYPE_CHECKING:
    from kubernaut.cli.material import Material
    from kubernaut.cli.playing import Played
    from kubernaut.cli.steps_told import Step
    from kubernaut.gateway.sources.base import Signal

ALERTS_LIMIT: Final = 20
BODY_LIMIT: Final = 8 * 1024 * 1024
NEVER: Final = "0001-01-01T00:00:00Z"


def rehearse(
    alert: Annotated[Path | None, typer.Argument(help="JSON file: Alertmanager's webhook body, or alerts as amtool prints them")] = None,
    deployment: Annotated[str, typer.Option("--deployment", help="in place of an alert: the Deployment that one would be about")] = "",
    target: Annotated[str, typer.Option("--target", help="the same for any object: KIND/NAME")] = "",
    namespace: NamespaceOption = "",
    severity: Annotated[str, typer.Option("--severity", help="with --deployment or --target")] = "critical",
    from_dump: DumpOption = None,
    at: AtOption = None,
    whole: WholeOption = False,
    output: Annotated[str, typer.Option("--output", "-o", help="text, json, or yaml: the objects that would be made")] = "text",
    config: ConfigOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Play an alert, and show every step that would follow. Nothing is changed, wherever it is played."""
    from kubernaut.cli import playing, steps_told  # noqa: PLC0415  (a command loads only what it runs)

    known_severity(severity)
    if output not in {"text", "json", "yaml"}:
        fail(f"there is no output {output!r}: it is text, json or yaml", 2)
    about = [f"deployment/{deployment}"] if deployment else [target] if target else []
    if bool(about) == bool(alert):
        fail(f"{'not both' if alert else 'say what to play'}: a file with an alert, or --deployment or --target", 2)
    settings, saved = settings_of(config), saved_of(from_dump, at, whole=whole)
    wanted = resource_named(about, namespace_of(namespace, saved, kubeconfig)) if about else None
    reported = signals_of(alert) if alert else []

    async def work() -> int:
        where = wanted.namespace if wanted else reported[0].resource.namespace
        material = await material_of(where, settings, saved, kubeconfig)
        named = found_in(material, wanted, sure=bool(namespace)) if wanted else None
        signals = [playing.signal_about(named, material.at, name="Rehearsal", severity=severity)] if named else reported
        theatre = playing.Theatre(material, settings, investigators())
        plays = [await theatre.play(signal) for signal in signals]
        _tell(output, material, [(played, list(steps_told.steps_of(played, material.cluster, settings))) for played in plays])
        return 0

    finish(work())


def signals_of(file: Path) -> "list[Signal]":
    """Read the alerts of a file that fire; end the command where none can be read."""
    from kubernaut.api.signal import SignalState  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.gateway.sources.alertmanager import Alertmanager  # noqa: PLC0415
    from kubernaut.gateway.sources.base import BadBody, Refused  # noqa: PLC0415

    try:
        entries = Alertmanager().read(orjson.dumps(_body(file)))
    except BadBody as fault:
        fail(f"{file}: {fault}")
    except OSError as fault:
        fail(f"{file}: {fault.strerror}")
    refused = [f"{file}: alert {number}: {each.message}" for number, each in enumerate(entries, 1) if isinstance(each, Refused)]
    signals = [each for each in entries if not isinstance(each, Refused) and each.state is SignalState.FIRING]
    if refused or not signals:
        fail("\n".join(refused) or f"{file}: no alert fires: a resolved one is noted on its case, where one is open")
    if len(signals) > ALERTS_LIMIT:
        fail(f"{file}: {len(signals)} alerts fire; at most {ALERTS_LIMIT} are played at once")
    return signals


def _body(file: Path) -> dict[str, Any]:
    """Return a webhook body: that of the file, or one around its alert or alerts."""
    with file.open("rb") as opened:
        content = opened.read(BODY_LIMIT)
    try:
        tree = orjson.loads(content)
    except orjson.JSONDecodeError as fault:
        fail(f"{file}: no JSON: {fault}")
    if isinstance(tree, dict) and "alerts" in tree:
        return {"version": "4", **tree}
    return {"version": "4", "alerts": [_alert(each) for each in (tree if isinstance(tree, list) else [tree])]}


def _alert(found: Any) -> Any:
    """Return an alert as the webhook has it; amtool and the API tell its state in an object of its own."""
    if not isinstance(found, dict):
        return found
    state = found.get("status")
    told = state if isinstance(state, str) else "firing"
    return {"annotations": {}, "startsAt": NEVER, **found, "status": told}


def _tell(output: str, material: "Material", plays: "Sequence[tuple[Played, list[Step]]]") -> None:
    if output == "json":
        documents = [{"signal": played.signal.name, "steps": [step.document() for step in steps]} for played, steps in plays]
        typer.echo(orjson.dumps({"at": material.at.isoformat(), "plays": documents}, option=orjson.OPT_INDENT_2).decode())
    elif output == "yaml":
        objects = [step.obj for _, steps in plays for step in steps if step.obj]
        typer.echo(yaml.safe_dump_all(objects, sort_keys=False, width=160), nl=False)
    else:
        screen = console()
        for played, steps in plays:
            _show(screen, material, played, steps)
        screen.print(Text("Nothing was changed.", style="dim"))


def _show(screen: Console, material: "Material", played: "Played", steps: "Sequence[Step]") -> None:
    when = f"  as of {material.at:%Y-%m-%d %H:%M:%S} UTC, {material.origin}"
    title = Text.assemble((f"{played.signal.name} on {played.signal.resource.path()}", "bold"), (when, "dim"))
    screen.print(title, soft_wrap=not screen.is_terminal)
    width = max(len(step.stage) for step in steps)
    for number, step in enumerate(steps, 1):
        screen.print()
        _print(screen, Text.assemble((f"{number}  {step.stage:<{width}}  ", "cyan"), step.says), 2)
        for line in _details(step):
            _print(screen, Text(line, style="dim"), width + 7)
    screen.print()


def _details(step: "Step") -> Iterator[str]:
    for detail in step.details:
        yield from detail.splitlines()


def _print(screen: Console, text: Text, indent: int) -> None:
    if screen.is_terminal:
        screen.print(Padding(text, (0, 2, 0, indent)))
    else:
        screen.print(Text(" " * indent).append(text), soft_wrap=True)
