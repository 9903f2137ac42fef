"""The laws about cases: their phases, their ends, what is told and what is kept of them."""

from collections import Counter, deque
from typing import Final

from kubernaut.api.audit import RemediationAudit
from kubernaut.api.base import Obj
from kubernaut.api.remediation import Phase
from kubernaut.orchestration.table import TABLE, mark_of
from tests.simulation.laws import TERMINAL, Law, phase_of
from tests.simulation.worklaws import WORK_LAWS

PARTS: Final = frozenset(
    {
        "remediationrequests",
        "remediationprocessings",
        "aianalyses",
        "aiapprovalrequests",
        "workflowexecutions",
        "kubernetesexecutions",
        "effectivenessassessments",
        "notificationrequests",
    }
)
STAGES: Final = ("remediationprocessings", "aianalyses", "workflowexecutions", "kubernetesexecutions", "effectivenessassessments")
ROWS: Final = {(row.before.value, row.after.value, row.mark): row.id for row in TABLE}
STORM_WRITES: Final = 60
STORM_SECONDS: Final = 10.0


def is_open(request: Obj) -> bool:
    """Whether signals belong to a remediation."""
    return phase_of(request) not in TERMINAL and "deletionTimestamp" not in request["metadata"]


class OneOpen(Law):
    """At most one open remediation to a fingerprint."""

    plurals = frozenset({"remediationrequests"})

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if new is None or not is_open(new) or (old is not None and is_open(old)):
            return
        fingerprint = new["spec"]["signalFingerprint"]
        found = [
            each["metadata"]["name"]
            for each in self.facts.all(plural)
            if is_open(each) and each["spec"]["signalFingerprint"] == fingerprint
        ]
        if len(found) > 1:
            self.broken(f"one open remediation to a fingerprint: {', '.join(found)} are open for {fingerprint[:12]}")


class Phases(Law):
    """Phases follow the table, and what has ended stays as it ended."""

    plurals = frozenset({"remediationrequests"})

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if old is None or new is None:
            return
        before, after = phase_of(old), phase_of(new)
        if before == after and (before not in TERMINAL or _mark(old) == _mark(new)):
            return
        row = ROWS.get((before, after, _mark(new)))
        if before in TERMINAL or row is None:
            self.broken(f"phases follow the table: {new['metadata']['name']} went from {before} {_mark(old)} to {after} {_mark(new)}")
            return
        self.facts.rows[row] += 1


def _mark(request: Obj) -> str:
    status = request.get("status") or {}
    return mark_of(Phase(phase_of(request)), str(status.get("outcome") or ""), str(status.get("failurePhase") or ""))


class Deadlines(Law):
    """Nothing waits without a deadline: every stage object is told when its time is up, and no case stays open for long."""

    plurals = frozenset({"remediationrequests", *STAGES})

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if plural in STAGES and old is None and new is not None and not new["spec"].get("timesOutAt") and not self._free(new):
            self.broken(f"nothing waits without a deadline: {plural} {new['metadata']['name']} has none")

    def _free(self, new: Obj) -> bool:
        return bool((new["spec"].get("executionConfig") or {}).get("dryRun"))


class Trail(Law):
    """No fact is lost: what leaves an object's journal is in data storage, ordinals have no gap, and in the end all is there.

    And the remediation records say in the end what the remediations say.
    """

    plurals = PARTS

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._counts: dict[str, tuple[str, int]] = {}
        self._phases: dict[str, str] = {}

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        if obj is None:
            return
        uid, name, journal = obj["metadata"]["uid"], f"{plural} {obj['metadata']['name']}", _journal(obj)
        count = journal.get("count", 0)
        if count < self._counts.get(uid, ("", 0))[1]:
            self.broken(f"a journal only grows: {name} went back to {count} facts")
        self._counts[uid] = name, count
        if plural == "remediationrequests":
            self._phases[obj["metadata"]["name"]] = str((obj.get("status") or {}).get("overallPhase") or "Pending").lower()
        if new is not None:
            self._shipped(uid, name, count, {entry["ordinal"] for entry in journal.get("pending") or ()})

    def _shipped(self, uid: str, name: str, count: int, pending: set[int]) -> None:
        facts = self.facts.around.ledger.facts
        lost = [ordinal for ordinal in range(count) if ordinal not in pending and (uid, ordinal) not in facts]
        if lost:
            self.broken(f"no fact is lost: {name} dropped {lost[:5]} before data storage had them")

    def at_rest(self) -> None:
        ledger = self.facts.around.ledger
        for uid, (name, count) in self._counts.items():
            lost = [ordinal for ordinal in range(count) if (uid, ordinal) not in ledger.facts]
            if lost:
                self.broken(f"the trail is whole: facts {lost[:5]} of {name} never came to data storage")
        recorded = {body.remediation_name: body.overall_phase for body in ledger.of(RemediationAudit)}
        for name, phase in self._phases.items():
            if phase != recorded.get(name, "pending"):
                self.broken(f"the record is up to date: of {name}, which is {phase}, it says {recorded.get(name, 'nothing')}")
        for text in ledger.doubtful[:3]:
            self.broken(f"a fact is told one way: {text}")


def _journal(obj: Obj) -> Obj:
    found: Obj = (obj.get("status") or {}).get("journal") or {}
    return found


class Told(Law):
    """Every end is told to people, once; a question is told of when it is asked."""

    plurals = frozenset({"remediationrequests", "notificationrequests"})

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._messages: dict[str, dict[str, tuple[str, str]]] = {}
        self._ended: dict[str, str] = {}

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if plural == "notificationrequests" and new is not None:
            name = (new["spec"].get("remediationRequestRef") or {}).get("name", "")
            about = new["spec"].get("metadata") or {}
            self._messages.setdefault(name, {})[new["metadata"]["name"]] = new["spec"]["type"], str(about.get("phase") or "")
        if plural == "remediationrequests" and new is not None:
            self._judge(old, new)

    def _judge(self, old: Obj | None, new: Obj) -> None:
        name = new["metadata"]["name"]
        if phase_of(new) in TERMINAL and phase_of(old) not in TERMINAL:
            self._ended[name] = phase_of(new)
            if not self._ends(name) and phase_of(new) not in {"Skipped", "Cancelled"}:
                self.broken(f"every end is told: {name} ended {phase_of(new)} and nobody was told")
        if (new.get("status") or {}).get("approvalNotificationSent") and not self._questions(name):
            self.broken(f"a question is told of: {name} says people were asked, and no message was made")

    def _ends(self, name: str) -> list[str]:
        """Messages of an end; the one that sums up duplicates is none."""
        found = (each for each in self._messages.get(name, ()) if not each.endswith("-duplicates"))
        return [each for each in found if "approval" not in each.removeprefix(name) or "escalation" in each]

    def _questions(self, name: str) -> list[str]:
        return [each for each in self._messages.get(name, ()) if "approval" in each.removeprefix(name)]

    def at_rest(self) -> None:
        for name in self._ended:
            kinds = Counter(self._messages[name][each] for each in self._ends(name))
            if twice := [kind for kind, count in kinds.items() if count > 1]:
                self.broken(f"an end is told once: {name} by {', '.join(self._ends(name))}, {twice}")
        self._delivered()

    def _delivered(self) -> None:
        """A message is shown once; once more for each death of who shows it, which may come before it is noted."""
        shown: dict[str, list[str]] = {}
        for _, life, message in self.facts.around.shown:
            shown.setdefault(message.id, []).append(life)
        for id_, lives in shown.items():
            if len(set(lives)) != len(lives):
                self.broken(f"a message is sent once: {id_} was sent {len(lives)} times by {', '.join(lives)}")


class Counted(Law):
    """Every alert that was answered 2xx is accounted for: its remediation is there, and has counted it."""

    plurals = frozenset({"remediationrequests"})

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._counts: dict[str, dict[str, int]] = {}
        self._taken: dict[str, int] = {}

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            return
        tally = (new.get("status") or {}).get("deduplication") or {}
        self._counts.setdefault(new["spec"]["signalFingerprint"], {})[new["metadata"]["uid"]] = tally.get("occurrenceCount", 1)

    def taken(self, entry: Obj) -> None:
        if entry["state"] != "firing":
            return
        if entry["status"] not in {"created", "deduplicated", "duplicate"}:
            self.broken(f"every alert is accounted for: one that fires was answered 2xx and {entry['status']}: {entry.get('message')}")
            return
        fingerprint = str(entry["fingerprint"]).removeprefix("sha256:")
        self._taken[fingerprint] = self._taken.get(fingerprint, 0) + 1
        counted = sum(self._counts.get(fingerprint, {}).values())
        if counted < self._taken[fingerprint]:
            self.broken(
                f"every alert is accounted for: {self._taken[fingerprint]} were taken for {fingerprint[:12]}, {counted} are counted"
            )


class Enduring(Law):
    """A remediation goes only when its case is over, nothing runs for it and everything about it is kept elsewhere."""

    plurals = frozenset({"remediationrequests"})

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if new is not None or old is None:
            return
        if pending := _journal(old).get("pending"):
            self.broken(f"what goes is kept elsewhere: {old['metadata']['name']} went with {len(pending)} facts untold")


class Moderate(Law):
    """Nobody writes in a circle: an object is not written again and again while hardly any time passes."""

    plurals = PARTS

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._recent: dict[str, deque[float]] = {}

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if new is None or old is None:
            return
        recent = self._recent.setdefault(new["metadata"]["uid"], deque(maxlen=STORM_WRITES))
        recent.append(now := self.facts.now())
        if len(recent) == STORM_WRITES and now - recent[0] < STORM_SECONDS:
            self.broken(
                f"nobody writes in a circle: {plural} {new['metadata']['name']} was written {STORM_WRITES} times in {now - recent[0]:.1f} s"
            )


BOOK: Final[tuple[type[Law], ...]] = (OneOpen, Phases, *WORK_LAWS, Deadlines, Trail, Told, Counted, Enduring, Moderate)
