"""`kubernaut policy`: policies and a catalogue tried on samples and alerts before they go live."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kubernaut.cli.telling import fail, finish

if TYPE_CHECKING:
    from kubernaut.cli.policy_cases import Rules
    from kubernaut.cli.policy_files import Found
    from kubernaut.policy.compiled import Policy
    from kubernaut.policy.document import Problem
    from kubernaut.policy.language import Language

app = typer.Typer(no_args_is_help=True, help="Try policies and a catalogue before they go live.")


@app.callback()
def _policy() -> None:
    """Try policies and a catalogue before they go live."""


@app.command()
def test(
    files: Annotated[
        list[Path],
        typer.Argument(help="YAML files or directories: policies (as they are, or in ConfigMaps), RemediationWorkflows, samples"),
    ],
) -> None:
    """Check policies and workflows, and try them on samples; tell file and line of what is wrong. Exit code 1 when something is.

    What no file gives is the shipped one: the approval and classification policies behind your own, and the catalogue where you have none.
    """

    async def work() -> int:
        from kubernaut.cli.policy_files import read_files  # noqa: PLC0415  (a command loads only what it runs)

        found = read_files(files)
        problems = sorted({*found.problems, *_tried(found)}, key=lambda each: (each.file, each.place, each.message))
        for problem in problems:
            typer.echo(str(problem))
        counted = _counted(found)
        if not counted and not problems:
            fail(f"there is no policy, RemediationWorkflow or sample in {', '.join(map(str, files))}")
        typer.echo(f"{counted or 'nothing to try'}: {f'{len(problems)} wrong' if problems else 'all is well'}")
        return 1 if problems else 0

    finish(work())


def _counted(found: "Found") -> str:
    counts = {"policy": len(found.policies), "workflow": len(found.workflows), "sample": len(found.samples) + len(found.cases)}
    plurals = {"policy": "policies", "workflow": "workflows", "sample": "samples"}
    told = [f"{count} {name if count == 1 else plurals[name]}" for name, count in counts.items() if count]
    return ", ".join(told)


def _tried(found: "Found") -> "Iterator[Problem]":
    """Yield what is wrong with policies, and what samples and cases show."""
    from kubernaut.policy.compiled import Policy  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.policy.document import BrokenPolicy  # noqa: PLC0415

    compiled: list[tuple[Language[Any], Policy[Any]]] = []
    for each in found.policies:
        try:
            compiled.append((each.language, Policy(each.language, each.text, each.file)))
        except BrokenPolicy as fault:
            yield from fault.problems
    if len(compiled) < len(found.policies):
        return
    yield from _sampled(found, compiled)
    yield from _played(found, compiled)


def _sampled(found: "Found", compiled: "list[tuple[Language[Any], Policy[Any]]]") -> "Iterator[Problem]":
    from kubernaut.policy.document import Problem  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.policy.samples import differences  # noqa: PLC0415

    for each in found.samples:
        policies = [policy for language, policy in compiled if language is each.language]
        if not policies:
            message = f"there is no {each.language.name} policy among the files to try sample {each.sample.name!r} on"
            yield Problem(each.sample.file, each.sample.place, message)
        for policy in policies:
            yield from differences(policy, each.sample)


def _played(found: "Found", compiled: "list[tuple[Language[Any], Policy[Any]]]") -> "Iterator[Problem]":
    from kubernaut.cli.policy_cases import differences  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.policy.document import Problem  # noqa: PLC0415

    rules = _rules(found, compiled) if found.cases else None
    for each in found.cases:
        for difference in differences(each.case, rules) if rules else ():
            yield Problem(each.file, each.place(*difference.path), difference.message)


def _rules(found: "Found", compiled: "list[tuple[Language[Any], Policy[Any]]]") -> "Rules":
    from kubernaut.analysis.approval_words import APPROVAL  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.cli.bundling import shipped_workflows  # noqa: PLC0415
    from kubernaut.cli.policy_cases import Rules  # noqa: PLC0415

    approval = [policy for language, policy in compiled if language is APPROVAL]
    classification = [policy for language, policy in compiled if language is not APPROVAL]
    return Rules(approval, classification, found.workflows or shipped_workflows())
