"""How a command ends: what goes wrong is told in a sentence, and the exit code says so."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn

import typer

from kubernaut.api.base import Unusable
from kubernaut.cli.approving import CannotDecide
from kubernaut.cli.places import PlaceTaken
from kubernaut.cli.storage import NoTrail
from kubernaut.kube.errors import ApiError
from kubernaut.kube.kubeconfig import KubeconfigError

TOLD = (ApiError, KubeconfigError, NoTrail, OSError, PlaceTaken, TimeoutError, Unusable, CannotDecide)
"""What is told in a sentence instead of a traceback."""


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with a sentence."""
    typer.echo(f"kubernaut: {message}", err=True)
    raise typer.Exit(code)


def _fail_together(group: ExceptionGroup[Exception]) -> NoReturn:
    """Tell what went wrong in parts that run side by side; what is no sentence of ours is raised as it is."""
    _, rest = group.split(TOLD)
    if rest is not None:
        raise rest
    leaf: BaseException = group
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    fail(_sentence(leaf))


def _sentence(error: BaseException) -> str:
    """Return an error's own words, without the number that Python puts before those of the operating system."""
    if isinstance(error, OSError) and error.filename is None and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def finish(work: Coroutine[Any, Any, int | None]) -> NoReturn:
    """Run a command to its end."""
    try:
        code = asyncio.run(work)
    except TOLD as error:
        fail(_sentence(error))
    except ExceptionGroup as group:
        _fail_together(group)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code or 0)
