"""How good the rules are, on the project's own cases: accuracy, false alarms, calibration, and CPU time in a cluster of 5,000 objects.

Right is an answer with the expected cause, target and action. Half of the cases was kept aside while the rules were tuned. Calibration
is told over all cases and the same with parts of the cluster unread, so that there is something to be unsure of; there, a cause that
only says how it shows counts as wrong. Time is CPU time from the filled caches to the answer, as in the stage; no model is asked.
`bench_investigate.py` tells it of the command.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from time import process_time

from kubernaut.analysis.investigators.base import Finding, Verdict
from kubernaut.analysis.investigators.rules.investigator import judge
from kubernaut.analysis.investigators.rules.registry import ALL
from kubernaut.analysis.logs import Logs
from kubernaut.analysis.snapshot import Snapshot
from tests.analysis.cases import Case, cases
from tests.analysis.noise import Crowd, namespaces_of
from tests.analysis.shelf import Shelf

CLUSTER, ELSEWHERE = 5_000, 3_500
BUCKETS = (0.0, 0.6, 0.7, 0.8, 0.9, 1.01)
WELL = frozenset({"Healthy", "Unknown"})


def right(case: Case, found: Finding) -> bool:
    expected = case.expected
    return (found.cause.name, found.target.path(), found.action) == (expected["cause"], expected["target"], expected.get("action", ""))


def score(name: str, chosen: Sequence[Case]) -> None:
    answers = [(case, case.judged()) for case in chosen]
    causes = sum(found.cause.name == case.expected["cause"] for case, found in answers)
    whole = sum(right(case, found) for case, found in answers)
    twins = [case for case in chosen if case.header["healthy"]]
    alarms = sum(case.judged(healthy=True).verdict is Verdict.CAUSE_FOUND for case in twins)
    print(
        f"{name:24} {len(chosen):5} cases   cause {causes / len(chosen):6.1%}   cause, target and action {whole / len(chosen):6.1%}", end=""
    )
    print(f"   false alarms {alarms} of {len(twins)} healthy twins")


def thinner(snapshot: Snapshot) -> Iterator[Snapshot]:
    """Yield the snapshot, and what would be left of it if parts could not be read."""
    yield snapshot
    yield replace(snapshot, events=(), around=(), unread=("Event",))
    yield replace(snapshot, related={}, leads=(), around=(), config_maps=None)
    yield replace(snapshot, nodes=(), unread=("Node",))


def calibration(chosen: Sequence[Case]) -> None:
    rows = [(found.cause.confidence, found.cause.name == case.expected["cause"]) for case, found in answers_of(chosen)]
    print(f"\n{'confidence':>12} {'answers':>8} {'mean':>6} {'right':>6}")
    error = 0.0
    for low, high in pairwise(BUCKETS):
        held = [row for row in rows if low <= row[0] < high]
        if held:
            mean, share = sum(sure for sure, _ in held) / len(held), sum(good for _, good in held) / len(held)
            error += abs(mean - share) * len(held) / len(rows)
            print(f"{low:5.2f} - {min(high, 1.0):4.2f} {len(held):8} {mean:6.2f} {share:6.2f}")
    print(f"expected calibration error {error:.3f}")


def answers_of(chosen: Sequence[Case]) -> Iterator[tuple[Case, Finding]]:
    for case in chosen:
        for snapshot in thinner(case.snapshot()):
            found = judge(snapshot)
            if found.verdict is Verdict.CAUSE_FOUND:
                yield case, found


def timed(case: Case) -> tuple[float, bool]:
    """Return CPU seconds from caches to answer, with 5,000 objects in them, and whether it was right."""
    subject, at = case.header["subject"], datetime.fromisoformat(case.header["at"])
    crowd = Crowd(at)
    others = [*crowd.elsewhere(ELSEWHERE), *crowd.beside(namespaces_of(case.objects), CLUSTER - ELSEWHERE - len(case.objects), sick=True)]
    shelf, logs = Shelf().hold([*case.objects, *others]), Logs(case.header.get("logs") or {})
    started = process_time()
    found = judge(shelf.collect(subject["kind"], subject["name"], at=at, namespace=subject.get("namespace", ""), logs=logs))
    return process_time() - started, right(case, found)


def main() -> None:
    known = cases()
    print(f"{len(ALL)} rules; {len({case.expected['cause'] for case in known} - WELL)} causes with a case\n")
    score("tuned on", [case for case in known if not case.aside])
    score("kept aside", [case for case in known if case.aside])
    calibration([case for case in known if case.expected["cause"] not in WELL])
    found = sorted(timed(case) for case in known[:: max(1, len(known) // 40)])
    seconds = [row[0] for row in found]
    print(f"\nCPU time per case at {CLUSTER} objects, over {len(found)} cases, {sum(row[1] for row in found)} right: ", end="")
    print(f"median {seconds[len(seconds) // 2] * 1000:.0f} ms, longest {seconds[-1] * 1000:.0f} ms")


if __name__ == "__main__":
    main()
