"""Alertmanager and Prometheus that hang, fail or talk nonsense: nothing is held up, and what is not known is told."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web

from kubernaut.verification.probes.alert import AlertProbe
from kubernaut.verification.probes.metrics import MetricsProbe
from kubernaut.verification.probes.remote import BODY_LIMIT, Remote
from kubernaut.verification.settings import EndpointSettings, MetricQuery
from tests.verification.looking import at, looking, seen

QUERY = 'increase(restarts{namespace="production"}[10m]) > 0'


class Source:
    """Answers every GET in one way, and counts them."""

    def __init__(self, **answer):
        self.answer, self.asked = {"status": 200, **answer}, []

    @property
    def patience(self):
        """How long to wait: long where an answer comes."""
        return timedelta(seconds=0.2 if self.answer.get("hang") else 20)

    async def respond(self, request):
        self.asked.append(request)
        if self.answer.get("hang"):
            await asyncio.Event().wait()
        return web.Response(status=self.answer["status"], body=self.answer.get("body", b""), headers=self.answer.get("headers"))

    @asynccontextmanager
    async def served(self):
        app = web.Application()
        app.router.add_get("/{path:.*}", self.respond)
        runner = web.AppRunner(app, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def endpoint(url, **more):
    return EndpointSettings(url=url, **{"timeout": timedelta(seconds=20), "rest": timedelta(seconds=30), **more})


FAULTS = {
    "hangs": (Source(hang=True), "does not answer"),
    "is overloaded": (Source(status=503, body=b"try later"), "503 Service Unavailable: try later"),
    "speaks no JSON": (Source(body=b"<html>"), "does not answer"),
    "says too much": (Source(body=b" " * (BODY_LIMIT + 1)), f"longer than {BODY_LIMIT} bytes"),
    "sends us elsewhere": (Source(status=302, headers={"Location": "http://169.254.169.254/"}), "302 Found"),
    "answers something else": (Source(body=b'"hello"'), "answer is no"),
}
every_fault = pytest.mark.parametrize(("source", "told"), FAULTS.values(), ids=FAULTS)


@every_fault
async def test_while_alertmanager_does_not_answer_what_the_gateway_heard_counts(source, told):
    async with source.served() as url:
        probe = AlertProbe(Remote("Alertmanager", endpoint(url, timeout=source.patience)))
        for state, score in (("firing", 0.0), ("resolved", 1.0)):
            reading = await seen(probe, now=at(6), state=state)
            assert reading.score == score
            assert told in reading.message


@every_fault
async def test_while_prometheus_does_not_answer_the_metrics_are_not_known_and_may_come_later(source, told):
    async with source.served() as url:
        probe = MetricsProbe(Remote("Prometheus", endpoint(url, timeout=source.patience)))
        reading = await seen(probe, now=at(6), query=QUERY)
    assert (reading.score, reading.good, reading.silent) == (None, False, True)
    assert told in reading.message


async def test_one_that_does_not_answer_is_left_alone_for_a_while():
    source = Source(status=500)
    async with source.served() as url:
        probe = MetricsProbe(Remote("Prometheus", endpoint(url)))
        for seconds in (0, 10, 29):
            assert (await seen(probe, now=at(6) + timedelta(seconds=seconds), query=QUERY)).silent
        assert len(source.asked) == 1
        source.answer = {"status": 200, "body": b'{"status":"success","data":{"resultType":"vector","result":[]}}'}
        assert not (await seen(probe, now=at(6) + timedelta(seconds=31), query=QUERY)).silent


async def test_a_question_that_is_not_taken_is_told_and_is_no_fault_of_the_source():
    source = Source(status=400, body=b"parse error")
    async with source.served() as url:
        probe = MetricsProbe(Remote("Prometheus", endpoint(url)), (MetricQuery(name="errors", query="rate("),))
        reading = await seen(probe, now=at(6), query=QUERY)
    assert (reading.score, reading.silent, len(source.asked)) == (None, False, 2)
    assert "errors: Prometheus does not take the question: 400 Bad Request: parse error" in reading.message


async def test_the_token_is_shown_and_read_anew_for_each_question(tmp_path):
    token, source = tmp_path / "token", Source(body=b"[]")
    async with source.served() as url:
        probe = AlertProbe(Remote("Alertmanager", endpoint(url, token_file=str(token))))
        for text in ("one", "two"):
            token.write_text(f"{text}\n")
            await seen(probe, now=at(6), state="resolved")
    assert [each.headers["Authorization"] for each in source.asked] == ["Bearer one", "Bearer two"]


async def test_a_token_that_cannot_be_read_is_told():
    probe = AlertProbe(Remote("Alertmanager", endpoint("http://127.0.0.1:1", token_file="/does/not/exist")))
    reading = await seen(probe, now=at(6))
    assert "/does/not/exist" in reading.message


@pytest.mark.parametrize("signal_type", ["kubernetes-event", "custom"])
async def test_only_alerts_that_came_from_alertmanager_are_asked_for_there(signal_type):
    source = Source(body=b"[]")
    async with source.served() as url:
        probe = AlertProbe(Remote("Alertmanager", endpoint(url)))
        await seen(probe, now=at(6), signal_type=signal_type)
    assert source.asked == []


async def test_without_an_expression_or_a_query_there_is_nothing_to_ask():
    probe = MetricsProbe(Remote("Prometheus", endpoint("http://127.0.0.1:1")))
    assert await probe.look(*looking(probe, now=at(6))) is None


async def test_an_answer_serves_for_a_while():
    source = Source(body=b'{"status":"success","data":{"resultType":"scalar","result":[1,"0"]}}')
    async with source.served() as url:
        probe = MetricsProbe(Remote("Prometheus", endpoint(url)), (MetricQuery(name="errors", query="0"),), timedelta(seconds=15))
        for seconds in (0, 14, 15):
            assert (await seen(probe, now=at(6) + timedelta(seconds=seconds))).score == 1.0
    assert len(source.asked) == 4  # before and after, twice
