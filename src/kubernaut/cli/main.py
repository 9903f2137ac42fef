"""The command line."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from kubernaut.cli.demo import demo as play
from kubernaut.cli.places import Place, demo_place
from kubernaut.cli.screen import Screen
from kubernaut.telemetry import configure_logging

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="From a Kubernetes alert to a verified fix."
)


@app.callback()
def _main() -> None:
    """From a Kubernetes alert to a verified fix."""


@app.command()
def demo(
    path: Annotated[str, typer.Option(help="catalogue: a Tekton workflow; steps: typed actions")] = "catalogue",
    interactive: Annotated[bool, typer.Option("--interactive", help="wait for your own kubernaut approve")] = False,
    state: Annotated[Path | None, typer.Option(help="where to keep the demo's state")] = None,
) -> None:
    """Play the whole story: alert, diagnosis, approval, fix, verification, audit trail."""
    configure_logging(level="warning", form="console")
    place = Place(state) if state else demo_place()
    raise typer.Exit(asyncio.run(play(place, Screen(), steps=path == "steps", interactive=interactive)))
