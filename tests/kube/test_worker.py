"""What is told of a pass that failed: one line, and a traceback only where nobody foresaw the fault."""

import asyncio

import pytest
from structlog.testing import capture_logs

from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import Key
from kubernaut.kube.journal import JournalFull
from kubernaut.kube.outcome import DONE
from kubernaut.kube.worker import Workers
from kubernaut.outbound import Undeliverable


@pytest.mark.parametrize(
    ("fault", "unforeseen"),
    [
        pytest.param(Undeliverable("http://127.0.0.1:8085 answers 500 Internal Server Error: "), False, id="data storage answers 500"),
        pytest.param(ApiError(500, "InternalError", "failed calling webhook"), False, id="a webhook of the cluster fails"),
        pytest.param(JournalFull("128 facts wait"), False, id="the outbox is full"),
        pytest.param(TimeoutError(), False, id="no answer in time"),
        pytest.param(ConnectionRefusedError(111, "Connection refused"), False, id="nobody there"),
        pytest.param(KeyError("spec"), True, id="a fault of ours"),
        pytest.param(ValueError("odd"), True, id="another fault of ours"),
    ],
)
async def test_a_fault_that_was_foreseen_is_one_line(fault, unforeseen, clock):
    failed = asyncio.Event()

    async def work(_key):
        if not failed.is_set():
            failed.set()
            raise fault
        workers_task.cancel()
        return DONE

    workers = Workers("sample", work, lambda: [Key("shop", "a")], clock=clock, count=1)
    with capture_logs() as lines:
        workers_task = asyncio.create_task(workers.run())
        await asyncio.gather(workers_task, return_exceptions=True)
    [line] = lines
    assert line["event"] == "pass failed, it is tried again"
    assert (line["namespace"], line["name"], str(fault) in line["fault"]) == ("shop", "a", True)
    assert (line["exc_info"] is fault) == unforeseen


async def test_a_failure_is_told_though_a_conflict_came_before_and_told_again_after_all_was_well(clock):
    course = [ApiError(409, "Conflict", "changed"), KeyError("spec"), KeyError("spec"), None, KeyError("spec"), None]
    told = []

    async def work(_key):
        fault = course.pop(0)
        if fault is not None:
            raise fault
        if not course:
            task.cancel()
            return DONE
        workers.add(Key("shop", "a"))
        return DONE

    workers = Workers("sample", work, lambda: [Key("shop", "a")], clock=clock, count=1, on_fault=lambda _key, fault: told.append(fault))
    with capture_logs() as lines:
        task = asyncio.create_task(workers.run())
        await asyncio.gather(task, return_exceptions=True)
    assert len(told) == 2
    assert [bool(line.get("exc_info")) for line in lines if line["log_level"] == "warning"] == [True, False, True]
