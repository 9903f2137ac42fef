"""How a command ends: what goes wrong is told in a sentence, and the exit code says so."""

import asyncio
import errno
import os
import re
import signal
import sys
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Final, NoReturn

import typer

from kubernaut.api.base import Unusable
from kubernaut.cli.approving import CannotDecide
from kubernaut.cli.places import PlaceTaken
from kubernaut.cli.storage import NoTrail
from kubernaut.kube.errors import ApiError
from kubernaut.kube.kubeconfig import KubeconfigError

TOLD = (ApiError, KubeconfigError, NoTrail, OSError, PlaceTaken, TimeoutError, Unusable, CannotDecide)
"""What is told in a sentence instead of a traceback."""
ADDRESS: Final = re.compile(r"\('?([^',]+)'?, (\d+)")
"""Where asyncio could not listen, as its error writes it."""


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with a sentence."""
    typer.echo(f"kubernaut: {message}", err=True)
    raise typer.Exit(code)


def be_sure(question: str, otherwise: str) -> None:
    """Ask whether the person is sure, where somebody is there to be asked; without a terminal the command itself says it."""
    if sys.stdin.isatty() and not typer.confirm(question):
        fail(otherwise)


def _fail_together(group: ExceptionGroup[Exception]) -> NoReturn:
    """Tell what went wrong in parts that run side by side; what is no sentence of ours is raised as it is."""
    _, rest = group.split(TOLD)
    if rest is not None:
        raise rest
    leaf: BaseException = group
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    fail(sentence(leaf))


def sentence(error: BaseException) -> str:
    """Return an error's own words, with what to do about it where that is known."""
    if isinstance(error, ApiError):
        return _of_api(error)
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        found = ADDRESS.search(str(error))
        what = f"cannot listen on {':'.join(found.groups())}: it is in use" if found else error.strerror
        return f"{what}. Stop what listens there (another kubernaut?), or choose another port"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _of_api(error: ApiError) -> str:
    """Return a refusal in the API server's words, and what to look at where those say too little."""
    if error.reason == "Unreachable":
        return f"the cluster cannot be reached: {error.message}. Is it up, and is the kubeconfig the right one?"
    if error.status == HTTPStatus.UNAUTHORIZED:
        return f"the cluster does not know you ({error}): log in anew, or name another kubeconfig"
    if error.not_found and not error.reason:
        return "the cluster does not know kubernaut's kinds. Install them: kubectl apply -k deploy"
    return str(error)


def finish(work: Coroutine[Any, Any, int | None]) -> NoReturn:
    """Run a command to its end."""
    try:
        code = asyncio.run(work)
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(128 + signal.SIGPIPE) from None
    except TOLD as error:
        fail(sentence(error))
    except ExceptionGroup as group:
        _fail_together(group)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code or 0)
