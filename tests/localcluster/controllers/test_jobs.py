"""Jobs: pods that run to their end."""

from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.localcluster.controllers.jobs import Tally, next_pod_in, verdict, wanted_active
from kubernaut.localcluster.controllers.settings import Pace

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def seen(active=0, succeeded=0, failed=0, restarts=0, last_failure=None):
    return Tally(active, 0, succeeded, failed, 0, restarts, last_failure)


def job_spec(policy="Never", started=None, **spec):
    return {"spec": {"template": {"spec": {"restartPolicy": policy}}, **spec}, "status": {"startTime": started} if started else {}}


@pytest.mark.parametrize(
    ("job", "counts", "ends"),
    [
        pytest.param(job_spec(completions=1), seen(active=1), None, id="under way"),
        pytest.param(job_spec(completions=1), seen(succeeded=1), "CompletionsReached", id="done"),
        pytest.param(job_spec(completions=3), seen(succeeded=2), None, id="not enough yet"),
        pytest.param(job_spec(), seen(succeeded=1, active=1), None, id="a work queue drains"),
        pytest.param(job_spec(), seen(succeeded=1), "CompletionsReached", id="a work queue is done"),
        pytest.param(job_spec(backoffLimit=2, completions=1), seen(failed=2), None, id="at the limit"),
        pytest.param(job_spec(backoffLimit=2, completions=1), seen(failed=3), "BackoffLimitExceeded", id="over the limit"),
        pytest.param(
            job_spec("OnFailure", backoffLimit=2, completions=1), seen(active=1, restarts=2), "BackoffLimitExceeded", id="restarts count"
        ),
        pytest.param(job_spec(started="2025-12-31T23:59:00Z", activeDeadlineSeconds=60), seen(active=1), "DeadlineExceeded", id="too long"),
    ],
)
def test_verdict(job, counts, ends):
    end = verdict(job, counts, T0)
    assert (end.reason if end else None) == ends


@pytest.mark.parametrize(
    ("spec", "counts", "wanted"),
    [
        ({"completions": 5, "parallelism": 2}, seen(), 2),
        ({"completions": 5, "parallelism": 2}, seen(succeeded=4), 1),
        ({"parallelism": 3}, seen(), 3),
        ({"parallelism": 3}, seen(active=1, succeeded=1), 1),
        ({"completions": 5, "suspend": True}, seen(), 0),
    ],
)
def test_wanted_active(spec, counts, wanted):
    assert wanted_active(job_spec(**spec), counts) == wanted


@pytest.mark.parametrize(("failed", "after", "wait"), [(0, 0, 0), (1, 0, 10), (2, 5, 15), (1, 60, 0), (30, 0, 600)])
def test_failures_put_the_next_pod_off(failed, after, wait):
    counts = seen(failed=failed, last_failure=T0 if failed else None)
    assert next_pod_in(counts, Pace(), T0 + timedelta(seconds=after)) == wait


def job(lab, policy="Never", **spec):
    template = {"spec": {**lab.pod("work")["spec"], "restartPolicy": policy}}
    return {"metadata": {"name": "work", "namespace": "shop"}, "spec": {"template": template, "completions": 1, "parallelism": 1, **spec}}


async def conditions(lab):
    status = (await lab.get("jobs", "work", group="batch"))["status"]
    return [(row["type"], row["reason"], row["message"]) for row in status.get("conditions", [])]


async def test_a_job_completes(lab):
    await lab.create("jobs", job(lab, completions=3, parallelism=2), "batch")
    await lab.pass_time(5)
    status = (await lab.get("jobs", "work", group="batch"))["status"]
    assert status["succeeded"] == 3
    assert "completionTime" in status
    reached = ("CompletionsReached", "Reached expected number of succeeded pods")
    assert await conditions(lab) == [("SuccessCriteriaMet", *reached), ("Complete", *reached)]
    assert ("Completed", "Job completed") in await lab.events()
    assert set((await lab.phases()).values()) == {"Succeeded"}


FAILS = {"scenario": {"nodes": [{"name": "node-1"}], "rules": [{"match": {"workload": "work"}, "exits": {"code": 1, "after": 0.1}}]}}


@pytest.mark.parametrize("lab", [FAILS], indirect=True)
@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
async def test_a_job_fails_at_its_back_off_limit(lab, policy):
    await lab.create("jobs", job(lab, policy, backoffLimit=1), "batch")
    await lab.pass_time(30)
    limit = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    assert await conditions(lab) == [("FailureTarget", *limit), ("Failed", *limit)]
    assert len(await lab.list("pods")) == (2 if policy == "Never" else 0)
    assert limit in await lab.events()


@pytest.mark.parametrize("lab", [{"scenario": {"nodes": []}}], indirect=True)
async def test_a_job_that_takes_too_long_fails(lab):
    await lab.create("jobs", job(lab, activeDeadlineSeconds=10), "batch")
    await lab.pass_time(5)
    assert await conditions(lab) == []
    await lab.pass_time(10)
    assert ("Failed", "DeadlineExceeded", "Job was active longer than specified deadline") in await conditions(lab)
    assert await lab.list("pods") == []


async def test_a_finished_job_goes_when_its_time_is_up(lab):
    await lab.create("jobs", job(lab, ttlSecondsAfterFinished=10), "batch")
    await lab.pass_time(5)
    assert not await lab.gone("jobs", "work", group="batch")
    await lab.pass_time(15)
    assert await lab.gone("jobs", "work", group="batch")
    assert await lab.list("pods") == []


async def test_a_suspended_job_waits(lab):
    await lab.create("jobs", job(lab, suspend=True), "batch")
    await lab.pass_time(2)
    assert await lab.list("pods") == []
    assert [row[:2] for row in await conditions(lab)] == [("Suspended", "JobSuspended")]
    await lab.patch("jobs", "work", {"spec": {"suspend": False}}, group="batch")
    await lab.pass_time(3)
    assert (await lab.get("jobs", "work", group="batch"))["status"]["succeeded"] == 1


async def test_indexed_pods_get_an_index_each(lab):
    await lab.create("jobs", job(lab, completions=3, parallelism=3, completionMode="Indexed"), "batch")
    await lab.pass_time(3)
    indexes = {pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for pod in await lab.list("pods")}
    assert indexes == {"0", "1", "2"}
