"""What a real Alertmanager and a real Prometheus say of a fix."""

from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from kubernaut.verification.probes.alert import AlertProbe
from kubernaut.verification.probes.metrics import MetricsProbe
from kubernaut.verification.probes.remote import Remote
from kubernaut.verification.settings import EndpointSettings, MetricQuery
from tests.daemons import ALERTMANAGER, PROMETHEUS, PROMTOOL, alertmanager, prometheus
from tests.verification.looking import LABELS, at, looking, seen

needs_alertmanager = pytest.mark.skipif(
    ALERTMANAGER is None, reason="not run: no Alertmanager here; on Debian: apt-get install prometheus-alertmanager"
)
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None, reason="not run: no Prometheus here; on Debian: apt-get install prometheus"
)
ROUTES = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}


def endpoint(url):
    return EndpointSettings(url=url, timeout=timedelta(seconds=20))


async def post(url, labels, *, ends=None):
    now = datetime.now(UTC)
    alert = {"labels": labels, "startsAt": (now - timedelta(hours=1)).isoformat(), **({"endsAt": ends.isoformat()} if ends else {})}
    async with aiohttp.ClientSession() as http, http.post(url + "/api/v2/alerts", json=[alert]) as answer:
        assert answer.status == 200, await answer.text()


async def look(probe, *, state="firing", ahead=timedelta(), **more):
    """Look at a moment, the fix having begun at noon of the remediation's day, or as long ago as is said."""
    cluster, asked = looking(probe, now=datetime.now(UTC), state=state, **more)
    started = {"fix_started_at": datetime.now(UTC) + ahead}
    return await probe.look(cluster, asked.model_copy(update={"spec": asked.spec.model_copy(update=started)}))


@needs_alertmanager
async def test_alertmanager_says_whether_the_alert_still_fires(tmp_path):
    async with alertmanager(tmp_path, ROUTES) as url:
        probe, soon = AlertProbe(Remote("Alertmanager", endpoint(url))), timedelta(minutes=1)
        other = {**LABELS, "namespace": "staging"}
        await post(url, other)
        assert (await look(probe, ahead=soon)).good  # it knows of none, and was there before the fix
        forgotten = await look(probe, ahead=-soon)  # it was started since, and may have forgotten it
        assert (forgotten.score, "was started since" in forgotten.message) == (0.0, True)
        await post(url, {**LABELS, "pod": "shop-6b8c7-zzzzz"})
        for state in ("firing", "resolved"):  # whatever the gateway heard before
            firing = await look(probe, state=state, ahead=soon)
            assert (firing.score, firing.message) == (0.0, "the alert still fires in Alertmanager")
        await post(url, {**LABELS, "pod": "shop-6b8c7-zzzzz"}, ends=datetime.now(UTC) - timedelta(seconds=1))
        assert (await look(probe, ahead=soon)).good


@needs_alertmanager
async def test_names_with_quotes_are_asked_for_as_they_are(tmp_path):
    labels = {**LABELS, "alertname": 'Odd "name", {with} \\ all'}
    async with alertmanager(tmp_path, ROUTES) as url:
        probe = AlertProbe(Remote("Alertmanager", endpoint(url)))
        await post(url, labels)
        assert not (await look(probe, ahead=timedelta(minutes=1), labels=labels)).good


def samples(*series):
    """Write series that have one value until the fix and another after it, a sample each 30 s."""
    lines = []
    for name, before, after in series:
        for step in range(-20, 21):
            moment = at(1).timestamp() + step * 30
            lines.append((name, f"{name} {before if step < 0 else after} {moment:.0f}\n"))
    return "# TYPE broken gauge\n" + "".join(line for _, line in sorted(lines, key=lambda each: each[0]))


HERE, THERE = '{namespace="production"', '{namespace="staging"'


@needs_prometheus
async def test_prometheus_says_whether_the_alerts_own_expression_still_holds(tmp_path):
    series = (
        (f'broken{HERE},pod="shop-7c9b5f6d8-x2x2x"}}', 1, 0),
        (f'broken{HERE},pod="shop-7c9b5f6d8-x4x4x"}}', 1, 1),
        (f'broken{HERE},pod="shop-db-0"}}', 1, 1),
        (f'broken{THERE},pod="shop-7c9b5f6d8-x2x2x"}}', 1, 1),
    )
    async with prometheus(tmp_path, samples(*series)) as url:
        queries = (
            MetricQuery(name="broken pods", query='sum(broken{namespace="$namespace",pod=~"$name-.*"})'),
            MetricQuery(name="share that works", query='1 - avg(broken{namespace="$namespace"})', better="higher"),
            MetricQuery(name="other alerts", query="nonsense(", alerts=["SomethingElse"]),
        )
        remote = Remote("Prometheus", endpoint(url))
        expected = (
            (MetricsProbe(remote), "broken > 0", 0.5, "still holds, for 1 series instead of 2"),
            (MetricsProbe(remote), 'broken{pod="shop-7c9b5f6d8-x2x2x"} > 0', 1.0, "holds for nothing any more"),
            (MetricsProbe(remote), "broken > 5", None, "held for nothing before the fix"),
            (MetricsProbe(remote), "rate(broken", None, "does not take the question: 400"),
            (
                MetricsProbe(remote, queries),
                "",
                1.0,
                "broken pods: 3 before the fix, 2 now; share that works: 0 before the fix, 0.3333 now",
            ),
        )
        for probe, query, score, told in expected:
            reading = await seen(probe, now=at(6), query=query)
            assert (reading.score, reading.silent) == (score, False), reading.message
            assert told in reading.message
