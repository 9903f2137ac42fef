"""How good the rules are, on the project's own cases: accuracy, false alarms, calibration, and CPU time in a cluster of 5,000 objects.

Right is an answer with the expected cause, target and action. Half of the cases was kept aside while the rules were tuned. Calibration
is told over all cases and the same with parts of the cluster unread, so that there is something to be unsure of; there, a cause that
only says how it shows counts as wrong. Time is CPU time from the filled caches to the answer; no model is asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from time import process_time

from kubernaut.analysis.investigators.base import Finding, Verdict
from kubernaut.analysis.investigators.rules.investigator import judge
from kubernaut.analysis.investigators.rules.registry import ALL
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj
from tests.analysis.cases import Case, cases
from tests.analysis.shelf import Shelf

CLUSTER = 5_000
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


def crowd(namespaces: Sequence[str]) -> Iterator[Obj]:
    """Yield workloads, pods, Services, ConfigMaps and events that are well, without end."""
    number = 0
    while True:
        name, namespace = f"crowd-{number}", namespaces[number % len(namespaces)]
        labels, uid = {"app": name}, f"uid-{number}"
        spec = {"containers": [{"name": "app", "image": "registry.example.com/crowd:1", "ports": [{"containerPort": 8080}]}]}
        made = {"spec": {"replicas": 1, "template": {"metadata": {"labels": labels}, "spec": spec}}}
        status = {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1}
        yield {
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace, "uid": uid, "generation": 1},
            **made,
            "status": status,
        }
        pod = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        owner = [{"kind": "Deployment", "name": name, "uid": uid, "controller": True}]
        meta = {"name": f"{name}-0", "namespace": namespace, "labels": labels, "ownerReferences": owner}
        yield {"kind": "Pod", "metadata": meta, "spec": spec, "status": pod}
        yield {"kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": {"selector": labels, "ports": [{"port": 80}]}}
        yield {"kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": {"url": f"http://{name}"}}
        about = {"kind": "Pod", "name": f"{name}-0", "namespace": namespace}
        told = {"reason": "Pulled", "message": "pulled", "type": "Normal", "lastTimestamp": "2026-03-02T11:00:00Z"}
        yield {"kind": "Event", "metadata": {"name": f"{name}.1", "namespace": namespace}, "involvedObject": about, **told}
        number += 1


def timed(case: Case) -> tuple[float, bool]:
    """Return CPU seconds from caches to answer, with 5,000 objects in them, and whether it was right."""
    own = {str(obj["metadata"].get("namespace")) for obj in case.objects} - {"None"}
    others = crowd([*sorted(own), "elsewhere", "other"])
    shelf = Shelf().hold([*case.objects, *(next(others) for _ in range(CLUSTER - len(case.objects)))])
    subject, at = case.header["subject"], datetime.fromisoformat(case.header["at"])
    started = process_time()
    found = judge(shelf.collect(subject["kind"], subject["name"], at=at, namespace=subject.get("namespace", "")))
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
