"""How commands reach a cluster: the kubeconfig given, $KUBECONFIG, the embedded cluster that runs, else the usual places."""

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from kubernaut.cli.places import running_place
from kubernaut.kube.client import Client

KubeconfigOption = Annotated[
    Path | None, typer.Option("--kubeconfig", help="default: $KUBECONFIG, the embedded cluster that runs, ~/.kube/config")
]


async def with_client(kubeconfig: Path | None, use: Callable[[Client], Coroutine[Any, Any, int | None]]) -> int | None:
    """Run something over a cluster's connections, and close them."""
    client = Client.from_kubeconfig(kubeconfig_of(kubeconfig))
    try:
        return await use(client)
    finally:
        await client.close()


def kubeconfig_of(given: Path | None) -> str | None:
    """Return the kubeconfig to use: the one given, $KUBECONFIG, the running embedded cluster's, else the usual places."""
    if given is not None:
        return str(given)
    if os.environ.get("KUBECONFIG"):
        return None
    place = running_place()
    return str(place.kubeconfig) if place else None
