"""A real Alertmanager between the alerts and the gateway: its grouping, its repeats, its resolved."""

from contextlib import AsyncExitStack

import pytest

from kubernaut.api.approval import Decision
from kubernaut.api.remediation import Outcome, Phase, RemediationRequest
from kubernaut.cli.alerts import PATH, RECEIVER, AlertSource
from tests.daemons import ALERTMANAGER, alertmanager
from tests.journey.stage import playing

SEEN = '{}:{alertname="KubePodCrashLooping", namespace="production"}'

pytestmark = pytest.mark.skipif(
    ALERTMANAGER is None, reason="not run: no Alertmanager here; on Debian: apt-get install prometheus-alertmanager"
)


class Prometheus(AlertSource):
    """An alert source that tells Alertmanager, in the words of its API v2, instead of the gateway."""

    async def post(self, session, body):
        fields = ("labels", "annotations", "startsAt", "generatorURL")
        alerts = [{name: each[name] for name in fields} | _end(each) for each in body["alerts"]]
        async with session.post(self.gateway + "/api/v2/alerts", json=alerts) as answer:
            assert answer.status == 200, await answer.text()
            return True


def _end(alert):
    """A firing alert has no end: Alertmanager itself says when it has heard nothing for too long."""
    return {"endsAt": alert["endsAt"]} if alert["status"] == "resolved" else {}


def configuration(gateway):
    quick = {"group_by": ["alertname", "namespace"], "group_wait": "100ms", "group_interval": "300ms", "repeat_interval": "600ms"}
    webhook = {"url": gateway + PATH, "send_resolved": True}
    return {
        "route": {"receiver": RECEIVER} | quick,
        "receivers": [{"name": RECEIVER, "webhook_configs": [webhook]}],
    }


async def test_alerts_that_a_real_alertmanager_sends_end_in_one_verified_remediation(tmp_path):
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(playing(tmp_path, source=Prometheus))
        url = await stack.enter_async_context(alertmanager(tmp_path, configuration(stage.system.endpoints.urls["gateway"])))
        stage.source.gateway = url
        async with stage.alerting():
            await stage.decide(Decision.APPROVED)
            request = await stage.ended()
        assert (request.status.phase, request.status.outcome) == (Phase.COMPLETED, Outcome.REMEDIATED)
        assert stage.only(RemediationRequest).metadata.name == request.metadata.name
        assert request.status.signal_state == "resolved"
        assert request.status.duplicate_count > 2  # its repeats were counted
        assert request.spec.signal_labels["alertname"] == "KubePodCrashLooping"
        assert SEEN in request.spec.original_payload.replace('\\"', '"')
        assert url.rsplit(":", 1)[1] in request.spec.provider_data  # its externalURL: where people look
        await stage.unlocked()
