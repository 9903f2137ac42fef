from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.printers import PRINTERS
from kubernaut.localcluster.printers.base import human, label_selector
from kubernaut.localcluster.printers.pods import tally_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 61, "3h1m"),
        (8 * 3600, "8h"),
        (2 * 86400 - 1, "47h"),
        (2 * 86400 + 3600, "2d1h"),
        (8 * 86400, "8d"),
        (730 * 86400, "2y"),
        (800 * 86400, "2y70d"),
        (3000 * 86400, "8y"),
        (-5, "<invalid>"),
    ],
)
def test_ages_are_shortened_as_kubectl_does(seconds, shown):
    assert human(seconds) == shown


def status(state=None, **rest):
    return {"name": "a", "ready": False, "restartCount": 0, "state": state or {}, **rest}


def pod(status_, spec=None, **meta):
    return {"metadata": {"name": "p", **meta}, "spec": {"containers": [{"name": "a"}], **(spec or {})}, "status": status_}


WAITING = {"waiting": {"reason": "CrashLoopBackOff"}}
RUNNING: Obj = {"running": {}}
KILLED = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
INIT = {"initContainers": [{"name": "i"}]}
SIDECAR = {"initContainers": [{"name": "s", "restartPolicy": "Always"}]}


@pytest.mark.parametrize(
    ("found", "word", "ready"),
    [
        pytest.param(pod({"phase": "Pending"}), "Pending", 0, id="pending"),
        pytest.param(pod({"phase": "Running", "containerStatuses": [status(RUNNING, ready=True)]}), "Running", 1, id="running"),
        pytest.param(pod({"phase": "Running", "containerStatuses": [status(WAITING)]}), "CrashLoopBackOff", 0, id="waiting"),
        pytest.param(pod({"phase": "Running", "containerStatuses": [status(KILLED)]}), "OOMKilled", 0, id="killed"),
        pytest.param(pod({"phase": "Failed", "containerStatuses": [status({"terminated": {"exitCode": 3}})]}), "ExitCode:3", 0, id="exit"),
        pytest.param(pod({"phase": "Failed", "reason": "Evicted"}), "Evicted", 0, id="evicted"),
        pytest.param(pod({"phase": "Running"}, deletionTimestamp="2026-01-01T00:00:00Z"), "Terminating", 0, id="terminating"),
        pytest.param(pod({"phase": "Succeeded"}, deletionTimestamp="2026-01-01T00:00:00Z"), "Succeeded", 0, id="ended and dying"),
        pytest.param(pod({"phase": "Pending", "initContainerStatuses": [status(RUNNING)]}, INIT), "Init:0/1", 0, id="init"),
        pytest.param(pod({"phase": "Pending", "initContainerStatuses": [status(KILLED)]}, INIT), "Init:OOMKilled", 0, id="init killed"),
        pytest.param(
            pod(
                {
                    "phase": "Running",
                    "initContainerStatuses": [status(RUNNING, name="s", started=True, ready=True)],
                    "containerStatuses": [status(RUNNING, ready=True)],
                },
                SIDECAR,
            ),
            "Running",
            2,
            id="sidecar",
        ),
    ],
)
def test_a_pod_is_told_in_one_word(found, word, ready):
    tally = tally_of(found)
    assert (tally.reason, tally.ready) == (word, ready)


def test_restarts_tell_when_the_last_was():
    ended = {"terminated": {"finishedAt": "2025-12-31T23:55:00Z"}}
    found = pod({"phase": "Running", "containerStatuses": [status(RUNNING, restartCount=3, lastState=ended)]})
    cells = PRINTERS["pods"].row(found, NOW)
    assert cells[:4] == ["p", "0/1", "Running", "3 (5m ago)"]


SPEC: Obj = {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}, "selector": {"matchLabels": {"a": "b"}}}
MADE = {"name": "x", "creationTimestamp": (NOW - timedelta(minutes=3)).isoformat().replace("+00:00", "Z")}

ROWS = [
    (
        "deployments.apps",
        {"spec": SPEC | {"replicas": 3}, "status": {"readyReplicas": 2, "updatedReplicas": 3}},
        ["x", "2/3", 3, 0, "3m", "c", "i", "a=b"],
    ),
    ("replicasets.apps", {"spec": SPEC | {"replicas": 3}, "status": {"replicas": 2}}, ["x", 3, 2, 0, "3m", "c", "i", "a=b"]),
    ("statefulsets.apps", {"spec": SPEC | {"replicas": 1}}, ["x", "0/1", "3m", "c", "i"]),
    (
        "jobs.batch",
        {"spec": SPEC | {"completions": 1}, "status": {"succeeded": 1, "startTime": MADE["creationTimestamp"]}},
        ["x", "Running", "1/1", "3m", "3m", "c", "i", "a=b"],
    ),
    (
        "nodes",
        {"spec": {"unschedulable": True}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
        ["x", "Ready,SchedulingDisabled", "<none>", "3m"],
    ),
    (
        "services",
        {"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [{"port": 80, "nodePort": 30000}]}},
        ["x", "ClusterIP", "10.0.0.1", "<none>", "80:30000/TCP", "3m"],
    ),
    ("namespaces", {"status": {"phase": "Active"}}, ["x", "Active", "3m"]),
    ("secrets", {"type": "Opaque", "data": {"a": "b"}}, ["x", "Opaque", 1, "3m"]),
    ("poddisruptionbudgets.policy", {"spec": {"minAvailable": 1}}, ["x", "1", "N/A", 0, "3m"]),
]


@pytest.mark.parametrize(("resource", "obj", "cells"), ROWS, ids=[row[0] for row in ROWS])
def test_rows_are_as_kubectl_shows_them(resource, obj, cells):
    assert PRINTERS[resource].row({"metadata": MADE, **obj}, NOW)[: len(cells)] == cells


@pytest.mark.parametrize("resource", sorted(PRINTERS))
def test_every_printer_fills_its_columns(resource):
    template = {"spec": SPEC["template"]["spec"]}
    spec = SPEC | {"jobTemplate": {"spec": {"template": template}}, "scaleTargetRef": {"kind": "Deployment", "name": "d"}}
    printer = PRINTERS[resource]
    expected = len(printer.columns) + (0 if "events" in resource else 1)
    assert len(printer.row({"metadata": MADE, "spec": spec}, NOW)) == expected


def test_selectors_are_written_as_text():
    rules = [{"key": "b", "operator": "In", "values": ["y", "x"]}, {"key": "c", "operator": "Exists"}]
    assert label_selector({"matchLabels": {"a": "1"}, "matchExpressions": rules}) == "a=1,b in (x,y),c"
