"""Kubernetes Events: counted, bounded, never in the way."""

from kubernaut.kube import events, metrics
from kubernaut.kube.events import Recorder

EVENTS = ("", "events")
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "default", "uid": "u", "resourceVersion": "7"}}
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "uid": "v"}}


def sent(api):
    return list(api.objects.get(EVENTS, {}).values())


async def test_equal_happenings_are_counted_in_one_event(api, client, clock, running):
    recorder = Recorder(client, clock, "tester")
    running(recorder.run())
    recorder.event(POD, "Warning", "Odd", "it is odd")
    recorder.event(POD, "Normal", "Fine", "it is fine")
    await api.until(lambda: len(sent(api)) == 2)
    clock.pass_(minutes=5)
    recorder.event(POD, "Warning", "Odd", "it is odd")
    await api.until(lambda: sent(api)[0]["count"] == 2)
    odd, fine = sent(api)
    assert (odd["type"], odd["reason"], odd["message"], odd["source"]) == ("Warning", "Odd", "it is odd", {"component": "tester"})
    assert (odd["firstTimestamp"], odd["lastTimestamp"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z")
    assert odd["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "a",
        "namespace": "default",
        "uid": "u",
        "resourceVersion": "7",
    }
    assert fine["count"] == 1


async def test_events_of_cluster_scoped_objects_live_in_default(api, client, clock, running):
    recorder = Recorder(client, clock, "tester")
    running(recorder.run())
    recorder.event(NODE, "Normal", "Seen", "x" * 3000)
    await api.until(lambda: sent(api))
    assert sent(api)[0]["metadata"]["namespace"] == "default"
    assert len(sent(api)[0]["message"]) == 1024


async def test_an_event_that_expired_is_made_anew(api, client, clock, running):
    recorder = Recorder(client, clock, "tester")
    running(recorder.run())
    recorder.event(POD, "Normal", "Fine", "")
    await api.until(lambda: sent(api))
    api.remove(EVENTS, sent(api)[0]["metadata"]["name"])
    recorder.event(POD, "Normal", "Fine", "")
    await api.until(lambda: api.count("PATCH", "events"))
    recorder.event(POD, "Normal", "Fine", "")
    await api.until(lambda: sent(api))


async def test_a_refused_event_is_counted_and_forgotten(api, client, clock, running):
    refused = metrics.EVENTS_DROPPED.labels("refused")._value
    before = refused.get()
    recorder = Recorder(client, clock, "tester")
    running(recorder.run())
    api.refuse("POST", "events", 403)
    recorder.event(POD, "Normal", "Lost", "")
    recorder.event(POD, "Normal", "Kept", "")
    await api.until(lambda: sent(api))
    assert [event["reason"] for event in sent(api)] == ["Kept"]
    assert refused.get() == before + 1


async def test_a_full_queue_drops_and_counts(client, clock):
    full = metrics.EVENTS_DROPPED.labels("full")._value
    before = full.get()
    recorder = Recorder(client, clock, "tester")
    for number in range(events.QUEUE_LIMIT + 3):
        recorder.event(POD, "Normal", "Flood", str(number))
    assert full.get() == before + 3


async def test_what_was_sent_is_remembered_within_bounds(api, client, clock, running, monkeypatch):
    monkeypatch.setattr(events, "CACHE_LIMIT", 2)
    recorder = Recorder(client, clock, "tester")
    running(recorder.run())
    for reason in ("A", "B", "C", "A"):
        recorder.event(POD, "Normal", reason, "")
    await api.until(lambda: len(sent(api)) == 4)
    assert [event["count"] for event in sent(api)] == [1, 1, 1, 1]
