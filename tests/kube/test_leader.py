"""Leader election between electors that share one lease, under a virtual clock."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.kube.client import Client
from kubernaut.kube.leader import LEASE, Elector, LeaderSettings, micro_time

pytestmark = pytest.mark.looptime
LEASES = ("coordination.k8s.io", "leases")


class Candidate:
    """One replica: counts how often it began and ended to work, and when."""

    leading: set[str] = set()

    def __init__(self, api, clock, identity):
        settings = LeaderSettings(namespace="default", name="lock", identity=identity)
        self.client = Client(api.url, user_agent=identity)
        self.identity = identity
        self.elector = Elector(self.client, clock, settings)
        self.began, self.ended, self.losses = asyncio.Event(), asyncio.Event(), 0
        self.most = 0

    async def work(self):
        Candidate.leading.add(self.identity)
        self.most = max(self.most, len(Candidate.leading))
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            Candidate.leading.discard(self.identity)
            self.ended.set()

    def lost(self):
        self.losses += 1

    async def run(self):
        try:
            await self.elector.run(self.work, self.lost)
        finally:
            await self.client.close()


@pytest.fixture
def clock():
    """A clock that goes with the loop's virtual time."""

    class LoopClock:
        def now(self):
            return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds())

    return LoopClock()


@pytest.fixture
def candidates(api, clock, running):
    """Start two in a test's own time, the first one leading."""
    made = [Candidate(api, clock, identity) for identity in ("one", "two")]

    async def start():
        first = running(made[0].run())
        await made[0].began.wait()
        running(made[1].run())
        return *made, first

    yield start
    assert max(candidate.most for candidate in made) == 1


def seconds():
    return asyncio.get_running_loop().time()


def spec(api):
    return api.get(LEASES, "lock")["spec"]


async def test_the_first_one_leads_and_the_other_waits(api, candidates):
    _, two, _ = await candidates()
    await asyncio.sleep(60)
    assert not two.began.is_set()
    assert spec(api)["holderIdentity"] == "one"
    assert spec(api)["leaseTransitions"] == 0


async def test_a_leader_that_stops_hands_over_at_once(api, candidates):
    _, two, task = await candidates()
    await asyncio.sleep(7)
    stopped = seconds()
    task.cancel()
    await two.began.wait()
    assert seconds() - stopped < 3  # not the whole lease of 15 s
    assert (spec(api)["holderIdentity"], spec(api)["leaseTransitions"]) == ("two", 1)


async def test_a_leader_cut_off_stops_before_another_begins(api, candidates):
    one, two, _ = await candidates()
    started = seconds()
    for method in ("GET", "PUT"):
        api.refuse(method, "leases", 503, times=1000, agent="one")
    await one.ended.wait()
    assert one.losses == 1
    assert not two.began.is_set()
    assert seconds() - started <= 12.5  # renewal may take 10 s
    await two.began.wait()
    assert 13 <= seconds() - started <= 20


async def test_a_leader_that_cannot_write_for_a_moment_keeps_leading(api, candidates):
    one, two, _ = await candidates()
    api.refuse("PUT", "leases", 500, times=3, agent="one")
    await asyncio.sleep(60)
    assert not two.began.is_set()
    assert not one.ended.is_set()


async def test_an_answer_that_got_lost_does_not_end_a_lead(api, candidates):
    one, _, _ = await candidates()
    api.refuse("PUT", "leases", 0, agent="one", after=True)
    await asyncio.sleep(60)
    assert not one.ended.is_set()


async def test_a_lease_taken_by_force_ends_the_work_at_once(api, candidates):
    one, _, _ = await candidates()
    await asyncio.sleep(10)
    started = seconds()
    lease = api.get(LEASES, "lock")
    api.put(LEASES, {**lease, "spec": {**lease["spec"], "holderIdentity": "three"}})
    await one.ended.wait()
    assert seconds() - started <= 2.5
    assert one.losses == 1


async def test_times_written_by_others_are_not_believed(api, clock, running):
    """A rival whose clock is years off is still given its whole lease from when we first saw it."""
    old = "1999-01-01T00:00:00.000000Z"
    api.put(LEASES, {"metadata": {"name": "lock"}, "spec": {"holderIdentity": "rival", "leaseDurationSeconds": 15, "renewTime": old}})
    candidate = Candidate(api, clock, "one")
    running(candidate.run())
    started = seconds()
    await candidate.began.wait()
    assert 15 <= seconds() - started <= 18


async def test_the_lease_bears_micro_times_of_six_decimals(api, clock, running):
    candidate = Candidate(api, clock, "one")
    running(candidate.run())
    await candidate.began.wait()
    assert spec(api)["acquireTime"] == spec(api)["renewTime"]
    assert re.fullmatch(r"2026-01-01T00:00:00\.[0-9]{6}Z", spec(api)["renewTime"])
    assert LEASE.api_version == "coordination.k8s.io/v1"
    assert micro_time(datetime(2026, 1, 2, 3, 4, 5, 67, tzinfo=UTC)) == "2026-01-02T03:04:05.000067Z"


@pytest.mark.parametrize(
    "times",
    [(10, 10, 2), (15, 2, 2), (15.5, 10, 2)],
    ids=["lease not above renewal", "renewal not above retry", "part of a second"],
)
def test_times_under_which_two_could_lead_are_refused(times):
    lease, renew, retry = (timedelta(seconds=amount) for amount in times)
    with pytest.raises(ValueError, match="lease"):
        LeaderSettings(namespace="default", lease=lease, renew=renew, retry=retry)
