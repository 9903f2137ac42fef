"""Admission webhooks over real HTTPS: what they are told, and what their answers do."""

import base64
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from kubernaut.localcluster.certificates import make_identity
from tests.localcluster.http import CONFIGMAPS, EXAMPLE, PODS, WIDGETS, configmap, pod, widget
from tests.world import eventually

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
CREATED = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}


class Hook:
    """A webhook that keeps what it was asked and answers as it is told."""

    def __init__(self, identity, word):
        self.bundle = base64.b64encode(identity.certificate.encode()).decode()
        self.url = ""
        self.word = word
        self.asked = []
        self.canaries = 0
        self.answer: dict[str, object] = {"allowed": True}
        self.status = 200

    async def handle(self, request):
        review = json.loads((await request.read()).replace(self.word.encode(), EXAMPLE.encode()))
        if request.path.endswith("/canary"):
            self.canaries += 1
        else:
            self.asked.append(review["request"])
        response = {"uid": review["request"]["uid"], **self.answer}
        return web.json_response({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response}, status=self.status)

    def denies(self, message="no", **status):
        self.answer = {"allowed": False, "status": {"message": message, **status}}

    def patches(self, *operations):
        patch = base64.b64encode(json.dumps(operations).encode()).decode()
        self.answer = {"allowed": True, "patchType": "JSONPatch", "patch": patch}


@asynccontextmanager
async def serving(word):
    identity = make_identity(["127.0.0.1", "localhost"], datetime.now(UTC))
    hook = Hook(identity, word)
    runner = web.ServerRunner(web.Server(hook.handle), shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=identity.context())
        await site.start()
        hook.url = f"https://127.0.0.1:{runner.addresses[0][1]}/review"
        yield hook
    finally:
        await runner.cleanup()


@pytest.fixture
async def hook(http):
    async with serving(http.word) as made:
        yield made


async def register(http, hook, plural="validatingwebhookconfigurations", **fields):
    """Make a webhook known, and wait until it is in force, which a second one beside it tells."""
    row = {
        "name": "w.example.dev",
        "clientConfig": {"url": hook.url, "caBundle": hook.bundle},
        "rules": [CREATED],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "example"}},
    }
    selected = {
        "objectSelector": {"matchLabels": {"canary": plural}},
        "clientConfig": {"url": f"{hook.url}/canary", "caBundle": hook.bundle},
    }
    rows = [row | fields, row | {"name": "canary.example.dev"} | selected]
    made = await http.post(f"{ADMISSION}/{plural}", {"metadata": {"name": "example-w"}, "webhooks": rows})
    assert made.status == 201, made.body
    canary = configmap(a="1") | {"metadata": {"name": "canary", "labels": {"canary": plural}}}

    async def in_force():
        await http.post(CONFIGMAPS, canary, dryRun="All")
        return hook.canaries

    await eventually(in_force)
    hook.asked.clear()


async def test_a_validating_webhook_is_told_the_write(http, hook):
    await register(http, hook)
    ann = http.acting_as("ann", "system:masters")
    assert (await ann.post(CONFIGMAPS, configmap(a="1"))).status == 201
    assert (await ann.patch(f"{CONFIGMAPS}/one", {"data": {"a": "2"}})).status == 200
    created, updated = hook.asked
    assert (created["operation"], created["name"], created["namespace"], created["oldObject"]) == ("CREATE", "one", "example", None)
    assert created["object"]["data"] == {"a": "1"}
    assert created["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert created["userInfo"]["username"] == "ann"
    assert (updated["oldObject"]["data"], updated["object"]["data"]) == ({"a": "1"}, {"a": "2"})


async def test_what_it_denies_is_not_written(http, hook):
    await register(http, hook)
    hook.denies("k is needed", reason="Forbidden", code=403)
    refused = await http.post(CONFIGMAPS, configmap())
    assert (refused.status, refused.body["reason"]) == (403, "Forbidden")
    assert refused.message == 'admission webhook "w.example.dev" denied the request: k is needed'
    hook.denies("")
    refused = await http.post(CONFIGMAPS, configmap())
    assert (refused.status, refused.message) == (400, 'admission webhook "w.example.dev" denied the request without explanation')
    assert (await http.get(f"{CONFIGMAPS}/one")).status == 404


async def test_a_mutating_webhook_patches_what_is_stored(http, hook):
    await register(http, hook, "mutatingwebhookconfigurations")
    hook.patches({"op": "add", "path": "/metadata/labels", "value": {"by": "hook"}}, {"op": "add", "path": "/data/b", "value": "2"})
    made = (await http.post(CONFIGMAPS, configmap(a="1"))).body
    assert (made["metadata"]["labels"], made["data"]) == ({"by": "hook"}, {"a": "1", "b": "2"})
    assert (await http.get(f"{CONFIGMAPS}/one")).body["data"] == {"a": "1", "b": "2"}


async def test_a_patched_custom_resource_is_held_to_its_schema(widgets, http, hook):
    rule = {"apiGroups": ["example.dev"], "apiVersions": ["*"], "operations": ["*"], "resources": ["widgets"]}
    await register(http, hook, "mutatingwebhookconfigurations", rules=[rule])
    hook.patches({"op": "replace", "path": "/spec/size", "value": "giant"})
    assert (await widgets.post(WIDGETS, widget())).status == 422
    hook.patches({"op": "replace", "path": "/spec/size", "value": "large"}, {"op": "add", "path": "/spec/bogus", "value": 1})
    made = (await widgets.post(WIDGETS, widget())).body
    assert (made["spec"]["size"], "bogus" in made["spec"]) == ("large", False)


async def test_mutating_comes_before_validating(http, hook):
    await register(http, hook, "mutatingwebhookconfigurations")
    hook.patches({"op": "add", "path": "/data/b", "value": "2"})
    async with serving(http.word) as judge:
        await register(http, judge)
        await http.post(CONFIGMAPS, configmap(a="1"))
        assert [row["object"]["data"] for row in judge.asked] == [{"a": "1", "b": "2"}]


async def test_a_generated_name_is_the_one_that_was_told(http, hook):
    await register(http, hook)
    made = await http.post(CONFIGMAPS, {"metadata": {"generateName": "x-"}})
    assert made.body["metadata"]["name"] == hook.asked[0]["name"]
    assert len(hook.asked) == 1


async def test_a_delete_is_asked_about_too(http, hook):
    await register(http, hook, rules=[CREATED | {"operations": ["DELETE"]}])
    await http.post(CONFIGMAPS, configmap())
    hook.denies("stay")
    assert (await http.delete(f"{CONFIGMAPS}/one")).status == 400
    assert (hook.asked[0]["operation"], hook.asked[0]["object"], hook.asked[0]["oldObject"]["metadata"]["name"]) == ("DELETE", None, "one")


NARROWED = {
    "objects": {"objectSelector": {"matchLabels": {"judge": "me"}}},
    "namespaces": {"namespaceSelector": {"matchLabels": {"judged": "yes"}}},
    "conditions": {"matchConditions": [{"name": "c", "expression": "object.metadata.name == 'other'"}]},
    "rules": {"rules": [CREATED | {"resources": ["secrets"]}]},
}


@pytest.mark.parametrize("fields", NARROWED.values(), ids=NARROWED)
async def test_what_does_not_concern_it_is_not_asked(http, hook, fields):
    await register(http, hook, **fields)
    hook.denies()
    assert (await http.post(CONFIGMAPS, configmap())).status == 201
    assert hook.asked == []


async def test_a_webhook_that_fails_refuses_or_is_passed_over(http, hook):
    await register(http, hook)
    hook.status = 503
    refused = await http.post(CONFIGMAPS, configmap())
    assert (refused.status, refused.body["reason"]) == (500, "InternalError")
    assert refused.message.startswith('Internal error occurred: failed calling webhook "w.example.dev": failed to call webhook:')
    changed = [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]
    await http.patch(f"{ADMISSION}/validatingwebhookconfigurations/example-w", changed, "application/json-patch+json")

    async def passes():
        return (await http.post(CONFIGMAPS, configmap())).status == 201

    await eventually(passes)


async def test_a_certificate_of_another_authority_is_not_trusted(http, hook):
    async with serving(http.word) as other:
        await register(http, hook, clientConfig={"url": hook.url, "caBundle": other.bundle})
    refused = await http.post(CONFIGMAPS, configmap())
    assert (refused.status, "certificate" in refused.message) == (500, True)
    assert hook.asked == []


async def test_a_service_that_nothing_is_behind_is_named(http, hook):
    where = {"service": {"namespace": "example", "name": "hook", "path": "/review"}}
    await register(http, hook, clientConfig=where)
    missing = (await http.post(CONFIGMAPS, configmap())).message
    assert missing.endswith('Post "https://hook.example.svc:443/review?timeout=10s": service "hook" not found')
    await http.post("/api/v1/namespaces/example/services", {"metadata": {"name": "hook"}, "spec": {"ports": [{"port": 443}]}})
    assert (await http.post(CONFIGMAPS, configmap())).message.endswith('no endpoints available for service "hook"')


async def test_warnings_reach_the_caller_once(http, hook):
    await register(http, hook)
    hook.answer = {"allowed": True, "warnings": ["mind the gap"]}
    assert (await http.post(CONFIGMAPS, configmap())).headers.getall("Warning") == ['299 - "mind the gap"']


async def test_code_inside_the_process_is_asked_about_too(cluster, http, hook):
    await register(http, hook, rules=[CREATED | {"resources": ["pods"]}])
    hook.denies("not this one")
    with pytest.raises(Exception, match="not this one"):
        await cluster.api.create(cluster.api.kind("", "pods"), {**pod(), "metadata": {"name": "p", "namespace": "example"}})
    assert (await http.get(f"{PODS}/p")).status == 404
