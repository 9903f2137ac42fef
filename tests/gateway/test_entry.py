"""What comes in and what does not: acceptance, scope, replay, sources, rates, and callers who must say who they are."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from kubernaut.api import core
from kubernaut.api.remediation import FINGERPRINT_LABEL
from tests.gateway.place import EVENTS, PATH, alert, faulty, gateway, group, post, requests
from tests.ways import token

GENERIC = "/api/v1/signals"


def event(namespace, pod, **changes):
    """Return a Warning Event about a pod, seen just now."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{pod}.1", "namespace": namespace},
        "type": "Warning",
        "reason": "BackOff",
        "message": "Back-off restarting failed container",
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": namespace},
        "lastTimestamp": datetime.now(UTC).isoformat(),
    } | changes


async def test_a_duplicate_makes_no_second_remediation(world, shop):
    """Acceptance point 1, its first half; the second is in test_faults."""
    async with gateway(world) as http:
        assert (await post(http, group(shop, ["shop-1-0"])))[0] == 201
        status, body = await post(http, group(shop, ["shop-1-0"]))
        [found] = await requests(world)
    assert (status, body["status"], body["duplicate"], body["count"]) == (202, "duplicate", True, 2)
    assert body["remediationRequestRef"] == {"name": found.metadata.name, "namespace": world.system}


async def test_a_new_alert_makes_a_remediation_with_name_namespace_three_labels_and_the_whole_payload(world, shop):
    """Acceptance point 2."""
    sent = group(shop, ["shop-1-0"], groupKey="{}:{}", externalURL="http://am:9093")
    async with gateway(world) as http:
        status, body = await post(http, sent)
        [found] = await requests(world)
    assert status == 201
    assert found.metadata.name == body["remediationRequestName"]
    assert found.metadata.name.startswith("remediation-")
    assert found.metadata.namespace == world.system
    fingerprint = found.spec.signal_fingerprint
    assert body["fingerprint"] == f"sha256:{fingerprint}"
    labels = {key: found.metadata.labels[key] for key in (FINGERPRINT_LABEL, "alert.severity", "alert.environment")}
    assert labels == {FINGERPRINT_LABEL: fingerprint[:63], "alert.severity": "critical", "alert.environment": "production"}
    assert orjson.loads(found.spec.original_payload) == sent


async def test_an_event_and_an_alert_about_one_owner_are_one_problem(world, shop):
    async with gateway(world) as http:
        assert (await post(http, event(shop, "shop-1-0"), EVENTS))[0] == 201
        assert (await post(http, group(shop, ["shop-1-1"])))[0] == 202
        [found] = await requests(world)
    assert (found.spec.signal_type, found.spec.signal_name, found.spec.severity) == ("kubernetes-event", "BackOff", "warning")
    assert found.status.deduplication.highest_severity == "critical"
    assert orjson.loads(found.spec.original_payload)["involvedObject"]["name"] == "shop-1-0"


async def test_resolved_right_after_firing_at_another_replica_is_noted(world, shop):
    async with gateway(world) as one, gateway(world) as two:
        await post(one, group(shop, ["shop-1-0"]))
        status, body = await post(two, group(shop, ["shop-1-0"], status="resolved"))
        [found] = await requests(world)
    assert (status, body["status"], found.status.signal_state) == (200, "resolved", "resolved")


async def test_firing_and_resolved_in_one_webhook_end_as_the_last_says(world, shop):
    alerts = [alert(shop, "shop-1-0"), alert(shop, "shop-1-0", status="resolved")]
    async with gateway(world) as http:
        status, body = await post(http, group(shop, []) | {"alerts": alerts})
        [found] = await requests(world)
    assert (status, [each["status"] for each in body["results"]]) == (201, ["created", "resolved"])
    assert found.status.signal_state == "resolved"


async def test_every_alert_of_a_batch_gets_a_line_that_says_what_became_of_it(world, shop):
    alerts = [alert(shop, "shop-1-0"), {"labels": {}}, alert(shop, "gone", status="resolved"), alert(shop, "shop-1-1"), "no alert"]
    async with gateway(world) as http:
        _, body = await post(http, group(shop, []) | {"alerts": alerts})
    assert [(each["index"], each["status"]) for each in body["results"]] == [
        (0, "created"),
        (1, "rejected"),
        (2, "resolved"),
        (3, "duplicate"),
        (4, "rejected"),
    ]
    assert all(each["message"] for each in body["results"])


SCOPES = {
    "nobody opted in": (None, None, False),
    "the object opts in": ("true", None, True),
    "the namespace opts in": (None, "true", True),
    "the object opts out of its namespace": ("false", "true", False),
    "the object opts in alone": ("TRUE", "false", True),
    "the namespace says no": (None, "false", False),
}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "registry.example/a:1"}]}}
SPECS = {
    "Deployment": {"replicas": 0, "selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE},
    "PersistentVolumeClaim": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


@pytest.mark.parametrize("kind", [core.DEPLOYMENT, core.PERSISTENT_VOLUME_CLAIM], ids=["a kind in the cache", "a kind that is asked for"])
async def test_only_what_opts_in_is_remediated(world, kind):
    namespaces = {}
    for case, (own, of_namespace, _) in SCOPES.items():
        namespaces[case] = namespace = await world.namespace("scope", **({"kubernaut.ai/managed": of_namespace} if of_namespace else {}))
        labels = {"kubernaut.ai/managed": own} if own else {}
        await world.create(kind, {"metadata": {"name": "it", "namespace": namespace, "labels": labels}, "spec": SPECS[kind.kind]})
    async with gateway(world, managed_only=True) as http:
        for case, (_, _, taken) in SCOPES.items():
            labels = {"alertname": "A", "namespace": namespaces[case], kind.kind.lower(): "it"}
            status, answer = await post(http, group("", []) | {"alerts": [{"labels": labels, "startsAt": "2026-01-01T00:00:00Z"}]})
            assert (status, answer["status"]) == ((201, "created") if taken else (200, "rejected")), case
            assert taken or answer["rejection"] == {"reason": "unmanaged_resource"}
            assert taken or "kubernaut.ai/managed=true" in answer["message"]


async def test_an_object_that_opts_out_later_still_has_its_open_case_counted_and_resolved(world, shop):
    async with gateway(world) as http:
        await post(http, group(shop, ["shop-1-0"]))
    async with gateway(world, managed_only=True) as http:
        assert (await post(http, group(shop, ["shop-1-1"])))[0] == 202
        assert (await post(http, group(shop, ["shop-1-0", "shop-1-1"], status="resolved")))[1]["summary"]["resolved"] == 2


TIMES = {
    "Unix seconds": (lambda now: str(int(now.timestamp())), None),
    "RFC 3339": (lambda now: now.isoformat(), None),
    "ten minutes old": (lambda now: str(int(now.timestamp()) - 600), "REPLAY_REJECTED"),
    "from the future": (lambda now: (now + timedelta(minutes=10)).isoformat(), "REPLAY_REJECTED"),
    "no time": (lambda _: "soon", "INVALID_FIELD_VALUE"),
    "no time that exists": (lambda _: "9" * 40, "INVALID_FIELD_VALUE"),
    "before all time": (lambda _: "0001-01-01T00:00:00+14:00", "INVALID_FIELD_VALUE"),
}


async def test_a_body_outside_of_the_replay_window_is_refused(world):
    async with gateway(world) as http:
        for case, (header, code) in TIMES.items():
            status, body = await post(http, group("shop", [case]), **{"X-Timestamp": header(datetime.now(UTC))})
            assert (status, body.get("title")) == (400 if code else 201, code), case
            assert code or body["status"] == "created"


async def test_an_old_event_is_a_replay_and_an_old_alert_is_one_that_still_fires(world, shop):
    old = (datetime.now(UTC) - timedelta(minutes=6)).isoformat()
    async with gateway(world) as http:
        status, body = await post(http, event(shop, "shop-1-0", lastTimestamp=old), EVENTS)
        assert (status, body["rejection"]["reason"]) == (200, "Stale")
        assert (await post(http, group(shop, ["shop-1-0"])))[0] == 201
    async with gateway(world, replay_window=timedelta(0)) as http:
        assert (await post(http, event(shop, "shop-1-1", lastTimestamp=old), EVENTS))[0] == 202


async def test_a_source_is_named_by_header_or_path_and_an_unknown_one_is_400(world, shop):
    async with gateway(world) as http:
        assert (await post(http, group(shop, ["shop-1-0"]), GENERIC, **{"X-Signal-Source": "prometheus"}))[0] == 201
        for path, headers in ((GENERIC, {}), (GENERIC, {"X-Signal-Source": "nagios"}), (f"{GENERIC}/nagios", {})):
            status, body = await post(http, {}, path, **headers)
            assert (status, body["error"]["code"]) == (400, "ADAPTER_NOT_FOUND")
            assert "prometheus, kubernetes-event" in body["detail"]


async def test_who_sends_too_often_is_told_to_wait_and_probes_never_are(world, shop):
    async with gateway(world, rate={"per_source": 0.001, "burst": 2}) as http:
        answers = [(await post(http, group(shop, ["shop-1-0"])))[0] for _ in range(2)]
        async with http.post(PATH, json=group(shop, ["shop-1-0"])) as refused:
            assert (refused.status, refused.headers["Retry-After"], refused.headers["X-RateLimit-Window"]) == (429, "60", "1s")
            assert (await refused.json(content_type=None))["title"] == "RATE_LIMIT_EXCEEDED"
        async with http.get("/healthz") as probe:
            assert probe.status == 200
        async with http.get("/metrics") as answer:
            metrics = await answer.text()
    assert answers == [201, 202]
    assert f'gateway_http_request_duration_seconds_count{{endpoint="{PATH}",method="POST",status="201"}}' in metrics
    assert "gateway_rate_limit_exceeded_total" in metrics


async def test_a_caller_must_show_a_token_that_the_api_server_knows(world, shop):
    way, client = faulty(world)
    good = await token(world)
    async with gateway(world, client=client, access={"enabled": True}) as http:
        async with http.post(PATH, json=group(shop, ["shop-1-0"])) as answer:
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert (await answer.json(content_type=None))["title"] == "AUTH_TOKEN_MISSING"
        status, body = await post(http, group(shop, ["shop-1-0"]), Authorization="Bearer made-up")
        assert (status, body["title"]) == (401, "AUTH_TOKEN_INVALID")
        assert (await post(http, group(shop, ["shop-1-0"]), Authorization=f"Bearer {good}"))[0] == 201
        assert (await post(http, group(shop, ["shop-1-0"]), Authorization=f"bearer {good}"))[0] == 202
        async with http.get("/readyz") as probe:
            assert probe.status == 200
    assert way.writes("/tokenreviews") == 2, "each token is asked about once"


async def test_a_token_for_somebody_else_is_refused(world, shop):
    ours, others = await token(world, audiences=["kubernaut"]), await token(world, audiences=["vault"])
    async with gateway(world, access={"enabled": True, "audiences": ["kubernaut"]}) as http:
        assert (await post(http, group(shop, ["shop-1-0"]), Authorization=f"Bearer {others}"))[0] == 401
        assert (await post(http, group(shop, ["shop-1-0"]), Authorization=f"Bearer {ours}"))[0] == 201
