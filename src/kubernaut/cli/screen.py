"""How things look on a terminal: colour where there is one, plain lines where there is none."""

from collections.abc import Callable, Sequence
from time import monotonic

from rich.console import Console
from rich.markdown import Markdown
from rich.panel import Panel

from kubernaut.api.base import Kind, Obj
from kubernaut.cli.trail import TABLE_WIDTH, Entry, trail_lines, trail_table
from kubernaut.notification.channels.base import Message
from kubernaut.notification.channels.console import plain

PHASE_STYLES = {
    "Completed": "green",
    "Approved": "green",
    "Sent": "green",
    "Failed": "red",
    "Rejected": "red",
    "TimedOut": "red",
    "AwaitingApproval": "yellow",
    "Approving": "yellow",
    "Blocked": "yellow",
}
QUIET_KINDS = frozenset({"NotificationRequest", "RemediationWorkflow"})
KIND_WIDTH = 24
HINT_WIDTH = 38


class Screen:
    """Tells a person what goes on."""

    def __init__(self, console: Console | None = None, *, clock: Callable[[], float] = monotonic) -> None:
        self.console = console or Console(highlight=False)
        self._plain = not self.console.is_terminal
        self._clock = clock
        self._began = clock()

    def heading(self, text: str) -> None:
        """Begin a part of the story."""
        self.console.print()
        self.console.print(f"== {text}" if self._plain else f"[bold cyan]{text}[/]", soft_wrap=True)

    def line(self, text: str, *, style: str = "") -> None:
        """Say one thing that happened."""
        told = f"[dim]{self._clock() - self._began:6.1f}s[/]  {text}"
        if self._plain:
            self.console.print(told, style=style or None, soft_wrap=True)
        else:
            self.console.print(told, style=style or None, no_wrap=True, overflow="ellipsis")

    def hint(self, typed: str, does: str = "") -> None:
        """Show something a person can type, ready to be copied."""
        line = f"  {typed:<{HINT_WIDTH}}  # {does}" if does else f"  {typed}"
        self.console.print(line, markup=False, soft_wrap=True)

    def change(self, kind: Kind, old: Obj | None, new: Obj | None) -> None:
        """Say that an object of ours entered another phase."""
        if new is None or kind.kind in QUIET_KINDS:
            return
        was, now = phase_of(old), phase_of(new)
        if now and now != was:
            style = PHASE_STYLES.get(now, "cyan")
            message = str((new.get("status") or {}).get("message") or "").splitlines()
            self.line(f"{kind.kind:<{KIND_WIDTH}} [{style}]{now:<17}[/] {message[0] if message else new['metadata']['name']}")

    def message(self, message: Message) -> None:
        """Show a notification as it reaches its reader."""
        if not self._plain:
            title = f"[bold]{message.subject}[/]"
            self.console.print(Panel(Markdown(message.body), title=title, title_align="left", border_style="yellow", padding=(0, 1)))
            for link in message.answers:
                self.console.print(f"{link.text}: {link.url}", markup=False, soft_wrap=True)
        else:
            self.console.print(plain(message), markup=False, soft_wrap=True)

    def trail(self, entries: Sequence[Entry], title: str) -> None:
        """Show the trail of a case: when, who, what, why."""
        if not self._plain and self.console.width >= TABLE_WIDTH:
            self.console.print(trail_table(entries, title))
            return
        self.console.print(title, markup=False, soft_wrap=True)
        for line in trail_lines(entries):
            self.console.print(line, markup=False, soft_wrap=True)


def phase_of(obj: Obj | None) -> str:
    """Return the phase of an object of ours, in whatever field its kind keeps it."""
    status = (obj or {}).get("status") or {}
    if status.get("voidedAt"):
        return "Void"
    return str(status.get("overallPhase") or status.get("decision") or status.get("phase") or "")
