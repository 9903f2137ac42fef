"""An informer over a server that closes, resets, expires and fails."""

import asyncio

import pytest

from kubernaut.api.base import Kind
from kubernaut.kube.backoff import Backoff
from kubernaut.kube.informer import Informer

WIDGET = Kind(kind="Widget", plural="widgets", group="test.dev", version="v1")
WIDGETS = ("test.dev", "widgets")


def widget(name, size=1, **metadata):
    return {"apiVersion": "test.dev/v1", "kind": "Widget", "metadata": {"name": name, **metadata}, "spec": {"size": size}}


class Diary:
    """What handlers heard, as words."""

    def __init__(self, informer):
        self.words = []
        self._new = asyncio.Event()
        informer.on_change(self._hear)

    def _hear(self, old, new):
        sign = {(True, False): "-", (False, True): "+"}.get((old is not None, new is not None), "~")
        obj = new or old
        self.words.append(f"{sign}{obj['metadata']['name']}{obj['spec']['size']}")
        self._new.set()

    async def reads(self, *words):
        async with asyncio.timeout(60):
            while len(self.words) < len(words):
                self._new.clear()
                await self._new.wait()
        assert self.words == list(words)


def lagging(watcher):
    """Hold back what a watch would show; return where it piles up."""
    held: list[object] = []
    watcher.queue.put_nowait = held.append
    return held


@pytest.fixture
def informer(client):
    return Informer(client, WIDGET, backoff=Backoff(0.001, 0.01))


@pytest.fixture
def diary(informer):
    return Diary(informer)


def names(informer):
    return sorted(obj["metadata"]["name"] for obj in informer.store.all())


@pytest.fixture
async def started(api, informer, diary, running):
    """The informer has listed a and b, and watches."""
    api.put(WIDGETS, widget("a"))
    api.put(WIDGETS, widget("b"))
    running(informer.run())
    await informer.synced.wait()
    await api.until(lambda: api.watchers)
    await diary.reads("+a1", "+b1")


async def test_lists_once_and_then_watches(api, started, diary):
    api.put(WIDGETS, widget("a", 2))
    api.remove(WIDGETS, "b")
    await diary.reads("+a1", "+b1", "~a2", "-b1")
    assert api.count("GET", "watch=true") == 1
    assert api.count("GET", "limit=500") == 1


async def test_listed_objects_know_their_kind(started, informer):
    assert {(obj["apiVersion"], obj["kind"]) for obj in informer.store.all()} == {("test.dev/v1", "Widget")}


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_resumes_a_watch_that_ended_without_listing_again(api, started, diary, how):
    api.put(WIDGETS, widget("a", 2))
    api.interrupt(how)
    await api.until(lambda: not api.watchers)
    api.put(WIDGETS, widget("a", 3))
    await diary.reads("+a1", "+b1", "~a2", "~a3")
    assert api.count("GET", "limit=") == 1


async def test_resumes_from_a_bookmark(api, started, diary):
    api.bookmark()
    api.interrupt("close")
    await api.until(lambda: not api.watchers)
    api.compact()  # what lies before the bookmark is gone, which does no harm
    await api.until(lambda: api.watchers)
    api.put(WIDGETS, widget("a", 2))
    await diary.reads("+a1", "+b1", "~a2")
    assert api.count("GET", "limit=") == 1


@pytest.mark.parametrize("in_stream", [True, False], ids=["410 in the stream", "HTTP 410"])
async def test_sees_what_was_deleted_in_a_gap(api, started, diary, informer, in_stream):
    api.expiry_in_stream = in_stream
    api.interrupt("close")
    await api.until(lambda: not api.watchers)
    api.remove(WIDGETS, "b")
    api.put(WIDGETS, widget("c"))
    api.compact()
    await diary.reads("+a1", "+b1", "+c1", "-b1")
    assert names(informer) == ["a", "c"]
    lists = [path for _, path in api.requests if "limit=" in path]
    assert ["resourceVersion=" in path for path in lists] == [False, False]  # no list may come from an old cache


async def test_an_object_made_anew_in_a_gap_is_another_object(api, started, diary):
    api.interrupt("close")
    await api.until(lambda: not api.watchers)
    api.remove(WIDGETS, "b")
    api.put(WIDGETS, widget("b", 7))
    api.compact()
    await diary.reads("+a1", "+b1", "-b1", "+b7")


@pytest.mark.parametrize("code", [500, 503, 0], ids=["500", "503", "reset"])
async def test_outlives_a_server_that_fails(api, started, diary, code):
    api.refuse("GET", "watch=true", code, times=3)
    api.interrupt("close")
    await api.until(lambda: all(fault.times == 0 for fault in api.faults) and api.watchers)
    api.put(WIDGETS, widget("a", 2))
    await diary.reads("+a1", "+b1", "~a2")


async def test_outlives_a_server_that_expires_everything(api, started, diary):
    api.refuse("GET", "widgets", 410, times=6)
    api.interrupt("close")
    await api.until(lambda: all(fault.times == 0 for fault in api.faults) and api.watchers)
    api.put(WIDGETS, widget("a", 2))
    await diary.reads("+a1", "+b1", "~a2")


async def test_a_kind_that_is_not_served_is_taken_for_none_until_it_is(api, informer, diary, running):
    api.put(WIDGETS, widget("a"))
    api.refuse("GET", "widgets", 404, times=2)
    running(informer.run())
    await informer.synced.wait()
    assert informer.store.all() == []
    await diary.reads("+a1")


async def test_takes_an_event_of_700_kb(api, started, diary, informer):
    api.put(WIDGETS, widget("a", 2) | {"data": "x" * 700_000})
    await diary.reads("+a1", "+b1", "~a2")
    assert len(informer.store.get("default", "a")["data"]) == 700_000


async def test_reads_all_pages(api, client):
    for number in range(7):
        api.put(WIDGETS, widget(f"w{number}"))
    listing = await client.list(WIDGET, limit=3)
    assert [obj["metadata"]["name"] for obj in listing.items] == [f"w{number}" for number in range(7)]
    assert listing.resource_version == str(api.revision)


async def test_a_page_that_expires_is_made_good_by_a_full_list(api, client):
    for number in range(7):
        api.put(WIDGETS, widget(f"w{number}"))
    api.refuse("GET", "continue=", 410)
    assert len((await client.list(WIDGET, limit=3)).items) == 7


async def test_our_own_write_is_seen_before_the_watch_shows_it(api, started, diary, informer, client):
    written = await client.create(WIDGET, widget("mine", namespace="default"))
    informer.observe(written)
    assert informer.store.get("default", "mine") == written
    api.put(WIDGETS, widget("a", 2))
    await diary.reads("+a1", "+b1", "+mine1", "~a2")  # and once only


async def test_a_late_look_at_our_own_write_does_not_raise_the_dead(api, started, diary, informer, client):
    written = await client.create(WIDGET, widget("mine", namespace="default"))
    api.remove(WIDGETS, "mine")
    await diary.reads("+a1", "+b1", "+mine1", "-mine1")
    informer.observe(written)
    assert names(informer) == ["a", "b"]


async def test_the_end_of_its_predecessor_does_not_remove_what_we_made_since(api, started, diary, informer, client):
    stopped = api.watchers[0]
    held = lagging(stopped)
    await client.delete(WIDGET, "a", "default")
    informer.observe(await client.create(WIDGET, widget("a", 5, namespace="default")))
    assert informer.store.get("default", "a")["spec"]["size"] == 5
    del stopped.queue.put_nowait
    for event in held:
        stopped.queue.put_nowait(event)
    api.put(WIDGETS, widget("z"))
    await diary.reads("+a1", "+b1", "-a1", "+a5", "+z1")


async def test_an_older_state_never_replaces_a_newer_one(api, started, diary, informer, client):
    stopped = api.watchers[0]
    held = lagging(stopped)
    api.put(WIDGETS, widget("a", 2))
    informer.observe(api.put(WIDGETS, widget("a", 3)))
    del stopped.queue.put_nowait
    for event in held:
        stopped.queue.put_nowait(event)
    api.put(WIDGETS, widget("z"))
    await diary.reads("+a1", "+b1", "~a3", "+z1")


async def test_a_list_does_not_drop_what_we_wrote_after_it_was_made(api, informer, diary, running):
    api.put(WIDGETS, widget("a"))
    informer.observe(widget("mine", namespace="default", uid="u", resourceVersion=str(api.revision + 50)))
    running(informer.run())
    await informer.synced.wait()
    assert names(informer) == ["a", "mine"]


async def test_one_namespace_is_kept_to(api, client, running):
    api.put(WIDGETS, widget("a"))
    api.put(WIDGETS, widget("b", namespace="other"))
    informer = Informer(client, WIDGET, "other")
    running(informer.run())
    await informer.synced.wait()
    informer.observe(widget("c", namespace="default", uid="u", resourceVersion="999999"))
    assert names(informer) == ["b"]


async def test_a_handler_that_stumbles_stops_nobody(api, informer, running):
    informer.on_change(lambda old, new: new["spec"]["absent"])
    diary = Diary(informer)
    api.put(WIDGETS, widget("a"))
    running(informer.run())
    await diary.reads("+a1")


async def test_who_asks_late_hears_of_all_there_is(started, informer):
    assert Diary(informer).words == ["+a1", "+b1"]
