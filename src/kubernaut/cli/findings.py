"""How a finding looks on a terminal: cause, evidence, fix, and, when asked, every rule that was tried; as lines or as JSON."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kubernaut.analysis.investigators.base import Evidence, Finding, Verdict
from kubernaut.analysis.investigators.rules.judging import Rule
from kubernaut.analysis.plan import Next, Plan
from kubernaut.analysis.report import no_fix
from kubernaut.analysis.steps import told
from kubernaut.cli.material import Material
from kubernaut.cli.playing import Played

_MARKS: Final = {
    Verdict.CAUSE_FOUND: ("●", "bold red"),
    Verdict.NO_ACTION: ("✓", "bold green"),
    Verdict.INCONCLUSIVE: ("?", "bold yellow"),
}
_NEXT: Final = {
    Next.RUN: ("runs by itself", "green"),
    Next.ASK: ("a person is asked first", "yellow"),
    Next.PERSON: ("a person takes over; nothing is run", "yellow"),
    Next.NOTHING: ("nothing is to be done", "green"),
}
HOLMESGPT: Final = "HolmesGPT was not asked: this command asks the rules alone"
_UNREAD: Final = " could not be read"
_REVIEWS: Final = {
    "low_confidence": "the cause is too uncertain to act on",
    "policy_denied": "the approval policy forbids it",
    "investigation_inconclusive": "no cause was found",
}


def document(material: Material, played: Played, rules: Sequence[Rule] = ()) -> dict[str, Any]:
    """Return a finding as plain data for JSON; with `rules` what became of each."""
    finding, plan, status = played.finding, played.plan, played.analysis.status
    found: dict[str, Any] = {
        "at": material.at.isoformat(),
        "target": finding.target.wire(),
        "verdict": finding.verdict.value,
        "cause": {"name": finding.cause.name, "summary": finding.cause.summary, "confidence": finding.cause.confidence},
        "evidence": [_evidence(row) for row in finding.cause.evidence],
        "contributingFactors": list(finding.cause.factors),
        "alternatives": [{"cause": row.cause, "whyNot": row.why_not} for row in finding.alternatives],
        "action": finding.action,
        "advice": finding.advice,
        "environment": played.analysis.spec.analysis_request.alert_context.environment,
        "next": plan.next.value,
        "humanReviewReason": plan.review,
        "selectedWorkflow": status.selected_workflow.wire() if status.selected_workflow else None,
        "workflowSteps": [step.wire() for step in plan.steps],
        "workflowsRejected": [{"workflow": row.name, "why": row.why} for row in plan.selection.rejected],
        "obstacle": plan.obstacle,
        "policy": {**plan.ruling.evaluation.wire(), "why": plan.ruling.why} if plan.ruling.evaluation.policy_name else None,
        "warnings": [*finding.warnings, *plan.ruling.faults],
        "lookedAt": list(finding.looked_at),
        "holmesGPT": {"asked": False, "why": HOLMESGPT},
    }
    return found | (
        {"rules": [{"cause": name, "result": result, "why": why} for name, result, why in tried(finding, rules)]} if rules else {}
    )


def _evidence(row: Evidence) -> dict[str, str]:
    return {"source": row.source, "field": row.field, "value": row.value, "says": row.says}


def tried(finding: Finding, rules: Iterable[Rule]) -> Iterator[tuple[str, str, str]]:
    """Yield of each rule its cause, what became of it (chosen, lost, or no sign of it), and why."""
    lost = {row.cause: row.why_not for row in finding.alternatives}
    for rule in rules:
        if finding.verdict is Verdict.CAUSE_FOUND and rule.cause == finding.cause.name:
            yield rule.cause, "chosen", finding.cause.summary
        elif rule.cause in lost:
            yield rule.cause, "lost", lost[rule.cause]
        else:
            yield rule.cause, "no sign of it", ""


def show(console: Console, material: Material, played: Played, rules: Sequence[Rule] = ()) -> None:
    """Print a finding; with `rules` what became of each, and of the workflows that were looked at."""
    finding = played.finding
    _line(console, Text.assemble((finding.target.path(), "bold")), f"as of {material.at:%Y-%m-%d %H:%M:%S} UTC, {material.origin}")
    if finding.target.path() != played.signal.resource.path():
        _prose(console, Text(f"you asked about {played.signal.resource.path()}", style="dim"), 0)
    console.print()
    mark, style = _MARKS[finding.verdict]
    sure = f"{finding.cause.confidence:.0%} certain" if finding.verdict is Verdict.CAUSE_FOUND else finding.verdict.value
    _line(console, Text.assemble((f"{mark} {finding.cause.name}", style)), sure)
    _prose(console, finding.cause.summary, 2)
    _section(console, "Evidence", _evidence_rows(finding))
    _section(console, "Made worse by", map(Text, finding.cause.factors))
    _section(console, "Fix", _fix(played))
    if rules:
        _explained(console, played, rules)
    _section(console, "Looked at", [*([Text(", ".join(finding.looked_at))] if finding.looked_at else []), Text(f"{HOLMESGPT}.")])
    _section(console, "Warnings", [Text(row, style="yellow") for row in warnings(finding, played.plan)])


def warnings(finding: Finding, plan: Plan) -> list[str]:
    """Return what a person must know of how sure all this is; kinds that could not be read in one line."""
    unread = [row.removesuffix(_UNREAD) for row in finding.warnings if row.endswith(_UNREAD)]
    others = [row for row in finding.warnings if not row.endswith(_UNREAD)]
    listed = [f"could not be read, so causes that show there were not looked for: {', '.join(unread)}"] if unread else []
    return [*listed, *others, *plan.ruling.faults]


def _line(console: Console, left: Text, right: str) -> None:
    console.print(left.append("  ").append(right, style="dim"), soft_wrap=not console.is_terminal)


def _prose(console: Console, text: str | Text, indent: int) -> None:
    if console.is_terminal:
        console.print(Padding(text if isinstance(text, Text) else Text(text), (0, 2, 0, indent)))
    else:
        console.print(Text(" " * indent).append(text), soft_wrap=True)


def _section(console: Console, title: str, rows: Iterable[Text]) -> None:
    lines = list(rows)
    if not lines:
        return
    console.print()
    console.print(Text(f"  {title}", style="dim"))
    for line in lines:
        _prose(console, line, 4)


def _evidence_rows(finding: Finding) -> Iterator[Text]:
    for row in finding.cause.evidence:
        yield Text(row.source).append(f"  {row.field}", style="dim").append(f" = {row.value}")
        yield Text(f"  {row.says}", style="italic")


def _fix(played: Played) -> Iterator[Text]:
    finding, plan = played.finding, played.plan
    if plan.next is Next.NOTHING:
        return
    yield from _chosen(played)
    words, style = _NEXT[plan.next]
    yield Text.assemble((words, style), _joined(_why(plan)))
    if plan.ruling.evaluation.policy_name and plan.next in {Next.RUN, Next.ASK}:
        yield Text(ruled(plan), style="dim")
    if finding.advice:
        yield Text(finding.advice)
    elif finding.verdict is Verdict.INCONCLUSIVE and (pod := next((pod["metadata"] for pod in played.snapshot.pods), None)):
        yield Text(f"Look at kubectl describe pod {pod['name']} -n {pod['namespace']}, and at kubectl logs with --previous.")


def _joined(why: str) -> str:
    """Return a reason as it follows what happens: a whole sentence by itself, a part of one behind a colon."""
    return f"{'. ' if why[:1].isupper() else ': '}{why}" if why else ""


def _chosen(played: Played) -> Iterator[Text]:
    plan, action = played.plan, played.finding.action
    chosen = plan.selection.chosen
    if chosen:
        yield Text.assemble((action, "bold"), f"  {chosen.workflow_id} {chosen.version}, risk {chosen.risk_level}")
        width = max(map(len, chosen.parameters), default=0)
        for name, value in sorted(chosen.parameters.items()):
            yield Text.assemble((f"  {name:<{width}}  ", "dim"), value)
    elif plan.steps:
        yield Text(action, style="bold")
        yield from (Text(f"  {told(step)}") for step in plan.steps)
    elif action:
        yield Text.assemble((action, "bold"), "  would be the fix")


def _why(plan: Plan) -> str:
    if plan.next is not Next.PERSON:
        return plan.ruling.why
    if plan.obstacle:
        return plan.obstacle
    if plan.review == "no_matching_workflows":
        return no_fix(plan)
    return plan.ruling.why if plan.review == "policy_denied" else _REVIEWS.get(plan.review, plan.review)


def ruled(plan: Plan) -> str:
    """Say which rule of which policy decided, and which others hold."""
    first, *others = plan.ruling.evaluation.matched_rules
    beside = f"; {', '.join(others)} {'holds' if len(others) == 1 else 'hold'} too" if others else ""
    return f"rule {first} of policy {plan.ruling.evaluation.policy_name}{beside}"


def _explained(console: Console, played: Played, rules: Sequence[Rule]) -> None:
    """Print what became of each rule, and of each workflow that was looked at."""
    rows = list(tried(played.finding, rules))
    console.print()
    console.print(Text(f"  Rules tried ({len(rows)})", style="dim"))
    told_rows = [row for row in rows if row[1] != "no sign of it"]
    _table(console, told_rows)
    silent = ", ".join(name for name, result, _ in rows if result == "no sign of it")
    if silent:
        _prose(console, Text.assemble(("no sign of  ", "dim"), silent), 4)
    rejected = played.plan.selection.rejected
    _section(console, "Workflows not chosen", (Text(row.name).append(f"  {row.why}", style="dim") for row in rejected))


def _table(console: Console, rows: Sequence[tuple[str, str, str]]) -> None:
    if not console.is_terminal:
        for name, result, why in rows:
            console.print(f"    {name}  {result}  {why}", soft_wrap=True, markup=False)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for style in ("bold", "dim", ""):
        table.add_column(style=style, overflow="fold")
    for name, result, why in rows:
        table.add_row(Text(name), Text(result), Text(why))
    console.print(Padding(table, (0, 2, 0, 4)))
