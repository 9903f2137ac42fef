"""One container's life, a step at a time."""

from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.localcluster.controllers.behaviour import Behaviour, Exit, ImageFault, ProbeFault
from kubernaut.localcluster.controllers.containers import Circumstances, Memo, back_off_seconds, new_row, step
from kubernaut.localcluster.controllers.settings import Pace

T0 = datetime(2026, 1, 1, tzinfo=UTC)
PACE = Pace(image_pull=2, start=1, back_off=10, back_off_cap=300, probe=1)
APP = {"name": "app", "image": "shop:1"}
OOM = Exit(5, 137, "OOMKilled")


def probed(name, **probe):
    return {**APP, f"{name}Probe": probe}


def around(seconds=0.0, restart="Always", present=True, **behaviour):
    return Circumstances(T0 + timedelta(seconds=seconds), Behaviour(**behaviour), PACE, "web_shop(1-2)", restart, present)


def live(container=APP, until=60, **given):
    """Steps whenever the container asks to be looked at; returns (second, state, restarts) of each change, and all events."""
    row, memo, seconds, history, told = new_row(container, "ContainerCreating"), Memo(), 0.0, [], []
    while seconds <= until:
        moved = step(container, row, memo, around(seconds, **given))
        if moved.row != row:
            ((name, state),) = moved.row["state"].items()
            history.append((seconds, state.get("reason", name), moved.row["restartCount"]))
        told += [f"{event.reason}: {event.message}" for event in moved.told]
        row, memo = moved.row, moved.memo
        seconds += max(moved.wait, 0.001 if moved.wait == 0 else moved.wait)
        seconds = round(seconds, 3)
    return history, told, row


def test_a_container_is_pulled_created_and_started():
    history, told, row = live(present=False)
    assert [event.split(":")[0] for event in told] == ["Pulling", "Pulled", "Created", "Started"]
    assert history == [(3.0, "running", 0)]
    assert row["ready"] is True
    assert row["started"] is True
    assert row["image"] == "docker.io/library/shop:1"
    assert row["containerID"].startswith("containerd://")


def test_an_image_that_is_there_is_not_pulled():
    _, told, _ = live()
    assert told[0] == 'Pulled: Container image "shop:1" already present on machine and can be accessed by the pod'


def test_a_failing_container_restarts_at_once_and_then_later_and_later():
    history, told, row = live(exit=OOM, until=70)
    assert history == [
        (1.0, "running", 0),
        (6.0, "OOMKilled", 0),
        (8.0, "running", 1),
        (13.0, "OOMKilled", 1),
        (14.0, "CrashLoopBackOff", 1),
        (24.0, "running", 2),
        (29.0, "OOMKilled", 2),
        (30.0, "CrashLoopBackOff", 2),
        (50.0, "running", 3),
        (55.0, "OOMKilled", 3),
        (56.0, "CrashLoopBackOff", 3),
    ]
    assert row["state"]["waiting"]["message"] == "back-off 40s restarting failed container=app pod=web_shop(1-2)"
    assert row["lastState"]["terminated"]["exitCode"] == 137
    assert "BackOff: Back-off restarting failed container app in pod web_shop(1-2)" in told


@pytest.mark.parametrize(("restarts", "seconds"), [(0, 0), (1, 10), (2, 20), (5, 160), (6, 300), (400, 300)])
def test_back_off_doubles_up_to_a_bound(restarts, seconds):
    assert back_off_seconds(restarts, PACE) == seconds


@pytest.mark.parametrize(
    ("policy", "code", "restarts"),
    [("Never", 1, 0), ("OnFailure", 0, 0), ("OnFailure", 1, 1), ("Always", 0, 1)],
)
def test_the_restart_policy_decides_about_an_ended_container(policy, code, restarts):
    history, _, _ = live(restart=policy, exit=Exit(2, code, "Error" if code else "Completed"), until=5)
    assert history[-1][2] == restarts


def test_a_missing_image_is_tried_again_later_and_later():
    history, told, row = live(image_fault=ImageFault("ErrImagePull", "not found"), until=35)
    assert [entry[:2] for entry in history[:3]] == [(0.0, "ErrImagePull"), (1.0, "ImagePullBackOff"), (10.0, "ErrImagePull")]
    assert row["state"]["waiting"]["reason"] == "ImagePullBackOff"
    assert row["state"]["waiting"]["message"] == 'Back-off pulling image "shop:1": ErrImagePull: not found'
    assert told.count("Failed: Error: ErrImagePull") == 3


def test_a_malformed_image_name_is_said_once():
    history, told, _ = live(image_fault=ImageFault("InvalidImageName", "bad"), until=35)
    assert history == [(0.0, "InvalidImageName", 0)]
    assert told == ["Failed: Error: InvalidImageName"]


def test_missing_configuration_stops_a_container_before_it_is_created_and_heals_when_it_appears():
    container, fault = APP, 'configmap "x" not found'
    held = step(container, new_row(container, "ContainerCreating"), Memo(), around(config_fault=fault))
    assert held.row["state"]["waiting"] == {"reason": "CreateContainerConfigError", "message": fault}
    assert [event.message for event in held.told] == [f"Error: {fault}"]
    assert step(container, held.row, held.memo, around(1, config_fault=fault)).told == ()
    healed = step(container, held.row, held.memo, around(2))
    assert [event.reason for event in healed.told] == ["Pulled", "Created"]


def test_a_failing_readiness_probe_keeps_a_running_container_from_being_ready():
    container = probed("readiness", initialDelaySeconds=2, periodSeconds=10)
    _, told, row = live(container, probe_faults={"readiness": ProbeFault(0, "HTTP probe failed with statuscode: 503")}, until=30)
    assert "running" in row["state"]
    assert row["ready"] is False
    assert told.count("Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503") == 3


def test_a_slow_start_delays_readiness_only():
    container = probed("readiness")
    history, _, row = live(container, slow_start=20)
    assert [entry[:2] for entry in history] == [(1.0, "running"), (21.0, "running")]
    assert row["ready"] is True


def test_a_failing_liveness_probe_kills_the_container_at_its_threshold():
    container = probed("liveness", periodSeconds=5, failureThreshold=2)
    history, told, _ = live(container, probe_faults={"liveness": ProbeFault(3, "timeout")}, until=12)
    assert history[1] == (9.0, "Error", 0)
    assert "Killing: Container app failed liveness probe, will be restarted" in told


def test_a_startup_probe_holds_back_readiness():
    container = probed("startup", initialDelaySeconds=3)
    history, _, row = live(container)
    assert len(history) == 2
    assert row["started"] is True
    assert row["ready"] is True


def test_what_a_kubelet_forgets_is_told_by_the_status_to_the_second():
    container = APP
    first = live(exit=OOM, until=14.5)[2]
    assert first["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    rest = step(container, first, Memo(), around(20, exit=OOM))
    assert rest.row == first
    assert rest.wait == pytest.approx(3.0)
    assert (
        "running"
        in step(container, step(container, first, Memo(), around(24, exit=OOM)).row, Memo(created=T0), around(26, exit=OOM)).row["state"]
    )


def test_a_kubelet_that_lost_its_memory_starts_an_ended_container_again():
    _, _, row = live(exit=OOM, until=6)
    assert "terminated" in row["state"]
    memo, seconds = Memo(), 100.0
    for _ in range(3):
        moved = step(APP, row, memo, around(seconds))
        row, memo, seconds = moved.row, moved.memo, seconds + moved.wait
    assert ("running" in row["state"], row["restartCount"]) == (True, 1)
