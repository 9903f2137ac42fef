"""`kubernaut routes test`: who would be told of a message, by the routing of a file, before the file is put into force."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from kubernaut.api.base import Unusable
from kubernaut.cli.telling import fail, sentence

routes = typer.Typer(no_args_is_help=True, help="The routing of notifications.")
KEY = "routing.yaml"
"""The key of the ConfigMap that holds the text."""

LabelsOption = Annotated[
    list[str] | None,
    typer.Option("--labels", "-l", help="what the message is, such as type=Approval,priority=High; may be given again"),
]


@routes.callback()
def _main() -> None:
    """Tell who is told what."""


@routes.command("test")
def check(
    file: Annotated[Path, typer.Argument(help="a routing, or a ConfigMap that holds one under routing.yaml")], labels: LabelsOption = None
) -> None:
    """Show which receivers would be told of a message, where, and by which routes."""
    try:
        lines = tell(file, labels_of(labels or ()))
    except (OSError, UnicodeDecodeError, Unusable) as fault:
        fail(sentence(fault), 2)
    typer.echo("\n".join(lines))


def labels_of(given: Sequence[str]) -> dict[str, str]:
    """Return labels by name; raise Unusable for what is none."""
    found: dict[str, str] = {}
    for each in (part for text in given for part in text.split(",") if part.strip()):
        name, equals, value = each.partition("=")
        if not equals or not name.strip():
            raise Unusable(f"{each!r} is no label: write name=value, such as priority=High")
        found[name.strip()] = value.strip()
    return found


def tell(file: Path, labels: dict[str, str]) -> list[str]:
    """Return who would be told, as lines; raise Unusable for a routing that cannot be used."""
    from kubernaut.notification.routing_text import read  # noqa: PLC0415  (a command loads only what it runs)

    routing = read(text_of(file), str(file))
    found = routing.resolve(labels)
    lines = []
    for route in found.routes:
        receiver = routing.receivers[route.receiver]
        why = ", ".join(map(str, route.matchers)) or ("every message" if route is routing.route else "no matcher")
        lines.append(f"{receiver.name}  (route in line {route.line}: {why})")
        lines += [f"  {target}" for target in receiver.targets]
        lines += ["  and where the message itself asks to go"] if receiver.as_asked else []
    return lines


def text_of(file: Path) -> str:
    """Return a routing's text, out of its ConfigMap where the file is one; raise Unusable where that does not hold one."""
    text = file.read_text(encoding="utf-8")
    try:
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # read as a routing, whose reader says what is wrong and where
    if not isinstance(content, dict) or content.get("kind") != "ConfigMap":
        return text
    data = content.get("data")
    found = data.get(KEY) if isinstance(data, dict) else None
    if not isinstance(found, str):
        raise Unusable(f"{file}: the ConfigMap has no key {KEY!r} in its data. Put the routing there")
    return found
