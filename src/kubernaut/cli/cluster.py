"""`kubernaut cluster`: the embedded Kubernetes API by itself, with its stand-ins and nothing of ours in it."""

from pathlib import Path
from typing import Annotated

import typer

from kubernaut.cli.places import Place, cluster_place, running_place
from kubernaut.cli.telling import fail, finish
from kubernaut.telemetry import configure_logging

app = typer.Typer(no_args_is_help=True, help="A Kubernetes API for laptops, tests and rehearsals.")

StateOption = Annotated[Path | None, typer.Option("--state", help="where its state is kept; default: the embedded cluster that runs")]
PORT = 16444
"""Another than that of `kubernaut up`, so that both may run."""


@app.command()
def start(
    state: Annotated[Path | None, typer.Option("--state", help="where its state is kept")] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="where to listen, on loopback")] = PORT,
    free_port: Annotated[bool, typer.Option("--free-port", help="take any free port instead")] = False,
    off: Annotated[list[str] | None, typer.Option(help="a stand-in to leave out; may be given again")] = None,
    scenario: Annotated[Path | None, typer.Option("--scenario", help="YAML file: nodes, and what simulated containers do")] = None,
    rbac: Annotated[bool, typer.Option("--rbac", help="enforce roles; without, every known user may do everything")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="forget the state first")] = False,
) -> None:
    """Serve a Kubernetes API, with stand-ins for the rest of a cluster, until Ctrl-C."""
    from kubernaut.cli.serving import Serving, serve  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.localcluster.controllers import NAMES  # noqa: PLC0415

    if unknown := sorted(set(off or ()) - NAMES):
        fail(f"there are no stand-ins {', '.join(unknown)}; the stand-ins are {', '.join(sorted(NAMES))}", 2)
    configure_logging(level="warning", form="console")
    asked = Serving(0 if free_port else port, frozenset(off or ()), scenario, rbac=rbac, fresh=fresh)
    finish(serve(Place(state) if state else cluster_place(), asked, typer.echo))


@app.command()
def load(
    files: Annotated[list[Path], typer.Argument(help="YAML or JSON files, directories of them, or - for standard input")],
    state: StateOption = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="for objects that name none")] = "default",
) -> None:
    """Apply objects to the running cluster, their status too."""
    from kubernaut.cli.loading import load_all  # noqa: PLC0415  (a command loads only what it runs)

    finish(load_all(_kubeconfig(state), files, namespace, typer.echo))


@app.command()
def dump(
    state: StateOption = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="this namespace alone")] = "",
) -> None:
    """Write all objects as YAML, secrets too, ready for `kubernaut cluster load` into an empty cluster."""
    from kubernaut.cli.dumping import dump_all  # noqa: PLC0415  (a command loads only what it runs)

    finish(dump_all(_kubeconfig(state), namespace, lambda text: typer.echo(text, nl=False)))


@app.command()
def stop(state: Annotated[Path | None, typer.Option("--state", help="where its state is kept")] = None) -> None:
    """Stop the cluster that runs, and wait until it has."""
    from kubernaut.cli.serving import end  # noqa: PLC0415  (a command loads only what it runs)

    place = Place(state) if state else cluster_place()
    finish(end(place))


def _kubeconfig(state: Path | None) -> Path:
    """Return the kubeconfig of the embedded cluster that runs: never somebody else's cluster."""
    place = Place(state) if state else running_place() or cluster_place()
    if place.announced() is None:
        where = f" on {state}" if state else ""
        fail(f"no embedded cluster runs{where}: kubernaut cluster start", 2)
    return place.kubeconfig
