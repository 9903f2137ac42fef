"""The work queue, under a virtual clock."""

import asyncio
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.kube.informer import Key
from kubernaut.kube.queue import WorkQueue

A, B, C = Key("ns", "a"), Key("ns", "b"), Key("ns", "c")
STEPS = st.lists(st.tuples(st.sampled_from(["add", "get", "done"]), st.sampled_from([A, B, C])), max_size=40)


@pytest.fixture
def queue():
    made = WorkQueue(random.Random(1))
    yield made
    made.close()


async def taken(queue):
    async with asyncio.timeout(1000):
        return await queue.get()


async def test_a_key_added_twice_is_handed_out_once(queue):
    queue.add(A)
    queue.add(A)
    queue.add(B)
    assert [await taken(queue), await taken(queue)] == [A, B]
    assert len(queue) == 0


async def test_a_key_being_worked_on_is_handed_out_again_afterwards(queue):
    queue.add(A)
    await taken(queue)
    queue.add(A)
    assert len(queue) == 0  # never two workers on one key
    queue.done(A)
    assert await taken(queue) == A


@pytest.mark.looptime
async def test_the_earliest_wish_counts(queue, looptime):
    queue.add_after(A, 60)
    queue.add_after(A, 20)
    queue.add_after(A, 40)
    assert await taken(queue) == A
    assert looptime == 20


@pytest.mark.looptime
async def test_a_pass_ends_earlier_wishes(queue, looptime):
    queue.add_after(A, 60)
    queue.add(A)
    queue.done(await taken(queue))
    queue.add_after(B, 100)
    assert await taken(queue) == B
    assert looptime == 100


@pytest.mark.looptime
async def test_failures_come_back_ever_later_up_to_five_minutes(queue):
    delays = []
    for _ in range(20):
        delays.append(queue.retry(A))
        queue.done(await taken(queue))
    assert 0.0045 <= delays[0] <= 0.0055
    assert all(1.6 < later / earlier < 2.5 for earlier, later in pairwise(delays[:15]))
    assert max(delays) == 300.0
    queue.forget(A)
    assert queue.retry(A) < 0.006


async def test_a_closed_queue_hands_out_nothing(queue):
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.add_after(A, 1)
    queue.close()
    queue.add(B)
    assert await waiting is None
    assert await taken(queue) is None


@given(STEPS)
async def test_no_add_is_lost_and_no_key_is_worked_on_twice_at_once(steps):
    queue = WorkQueue()
    wanted, running = set(), set()
    for step, key in steps:
        if step == "add":
            queue.add(key)
            wanted.add(key)
        elif step == "done" and key in running:
            queue.done(key)
            running.discard(key)
        elif step == "get" and len(queue):
            taken_key = await queue.get()
            assert taken_key not in running
            running.add(taken_key)
            wanted.discard(taken_key)
    for key in running:
        queue.done(key)
    assert {await queue.get() for _ in range(len(queue))} == wanted
