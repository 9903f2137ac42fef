"""Who may call: verdicts are asked for once, kept for a while, and never kept with the token."""

import asyncio

import pytest
from starlette.requests import Request

from kubernaut.api import core
from kubernaut.kube.client import Client
from kubernaut.kube.reviews import Caller, Permission, Reviewer
from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.service import Access, AccessSettings, Problem


class Judge:
    """Knows some tokens; counts how often it is asked, and may be out of reach or slow."""

    def __init__(self, **known):
        self.known, self.asked, self.away = known, [], False
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, token):
        self.asked.append(token)
        await self.gate.wait()
        if self.away:
            raise ConnectionError("connection refused")
        return self.known.get(token, ("", False))


class Time:
    """Seconds that a test lets pass."""

    now = 0.0

    def __call__(self):
        return self.now


def request(authorization="", path="/api/v1/signals"):
    headers = [(b"authorization", authorization.encode())] if authorization else []
    return Request(
        {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b"", "server": ("x", 80), "scheme": "http"}
    )


async def answer(access, authorization="", path="/api/v1/signals"):
    """Return the user, or the status and code of the refusal."""
    asked = request(authorization, path)
    try:
        await access(asked)
    except Problem as problem:
        return problem.status, problem.code
    return getattr(asked.state, "user", None)


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        pytest.param("", (401, "AUTH_TOKEN_MISSING"), id="nothing"),
        pytest.param("Basic YTpi", (401, "AUTH_TOKEN_MISSING"), id="another scheme"),
        pytest.param("Bearer", (401, "AUTH_TOKEN_MISSING"), id="no token"),
        pytest.param("Bearer nobody", (401, "AUTH_TOKEN_INVALID"), id="an unknown token"),
        pytest.param("Bearer " + "x" * 20_000, (401, "AUTH_TOKEN_INVALID"), id="a token without end"),
        pytest.param("Bearer poor", (403, "AUTH_TOKEN_UNAUTHORIZED"), id="a user without the right"),
        pytest.param("bearer  good ", "alice", id="a user with it"),
    ],
)
async def test_what_a_caller_shows_decides(authorization, expected):
    judge = Judge(good=("alice", True), poor=("bob", False))
    assert await answer(Access(judge, AccessSettings(), time=Time()), authorization) == expected


async def test_a_verdict_holds_for_its_time_and_a_bad_one_for_a_shorter():
    time, judge = Time(), Judge(good=("alice", True))
    access = Access(judge, AccessSettings(accepted_seconds=60, refused_seconds=10), time=time)
    for _ in range(3):
        assert await answer(access, "Bearer good") == "alice"
        assert (await answer(access, "Bearer bad"))[0] == 401
    assert judge.asked == ["good", "bad"]
    time.now = 11
    await answer(access, "Bearer good")
    await answer(access, "Bearer bad")
    assert judge.asked == ["good", "bad", "bad"]
    judge.known = {}
    time.now = 61
    assert (await answer(access, "Bearer good"))[0] == 401


async def test_when_there_is_nobody_to_ask_it_is_503_and_nothing_is_kept():
    judge = Judge(good=("alice", True))
    access = Access(judge, AccessSettings(), time=Time())
    judge.away = True
    assert await answer(access, "Bearer good") == (503, "SERVICE_UNAVAILABLE")
    judge.away = False
    assert await answer(access, "Bearer good") == "alice"


async def test_requests_that_come_at_once_with_one_token_share_one_question():
    judge = Judge(good=("alice", True))
    access = Access(judge, AccessSettings(), time=Time())
    judge.gate.clear()
    asked = [asyncio.create_task(answer(access, "Bearer good")) for _ in range(50)]
    while not judge.asked:
        await asyncio.sleep(0)
    asked[0].cancel()
    judge.gate.set()
    assert set(await asyncio.gather(*asked[1:])) == {"alice"}
    assert judge.asked == ["good"]


async def test_a_flood_of_bad_tokens_is_bounded_and_drives_no_good_one_out():
    judge = Judge(good=("alice", True))
    access = Access(judge, AccessSettings(cache_entries=10), time=Time())
    await answer(access, "Bearer good")
    for number in range(50):
        await answer(access, f"Bearer bad-{number}")
    assert await answer(access, "Bearer good") == "alice"
    assert judge.asked.count("good") == 1
    assert (len(access._refused._verdicts), access._asking) == (10, {})


async def test_no_token_is_kept():
    access = Access(Judge(good=("alice", True)), AccessSettings(), time=Time())
    await answer(access, "Bearer good")
    assert "good" not in repr(vars(access)) + repr(vars(access._accepted))


async def test_probes_need_no_token_and_metrics_only_where_it_is_set():
    access = Access(Judge(), AccessSettings(protect_metrics=True), time=Time())
    assert [await answer(access, path=path) for path in ("/healthz", "/readyz", "/openapi.json")] == [None] * 3
    assert (await answer(access, path="/metrics"))[0] == 401
    assert await answer(Access(Judge(), AccessSettings(), time=Time()), path="/metrics") is None


SENDER = Permission("create", "services", "gateway-service", "default")


@pytest.fixture
async def cluster():
    """Give a client of an API server that enforces RBAC, and a function that makes service accounts' tokens."""
    async with LocalCluster(ClusterSettings(rbac=True)) as running:
        client = Client(running.url, token=running.admin_token)

        async def token(name):
            await client.create(core.SERVICE_ACCOUNT, {"metadata": {"name": name, "namespace": "default"}})
            made = await client.create(
                core.SERVICE_ACCOUNT, {"metadata": {"namespace": "default"}, "spec": {}}, subresource_of=name, subresource="token"
            )
            return made["status"]["token"]

        yield running, client, token
        await client.close()


async def test_a_role_allows_and_its_absence_forbids(cluster):
    _, client, token = cluster
    allowed, poor = await token("allowed"), await token("poor")
    rule = {"apiGroups": [""], "resources": ["services"], "resourceNames": ["gateway-service"], "verbs": ["create"]}
    await client.create(core.ROLE, {"metadata": {"name": "gateway-signal-source", "namespace": "default"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "gateway-signal-source", "namespace": "default"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gateway-signal-source"},
        "subjects": [{"kind": "ServiceAccount", "name": "allowed", "namespace": "default"}],
    }
    await client.create(core.ROLE_BINDING, binding)
    review = Reviewer(client, permission=SENDER)
    assert await review(allowed) == Caller("system:serviceaccount:default:allowed", allowed=True)
    assert await review(poor) == Caller("system:serviceaccount:default:poor", allowed=False)
    assert await Reviewer(client)(poor) == Caller("system:serviceaccount:default:poor", allowed=True)
    assert await review("made-up") == Caller("", allowed=False)


async def test_whoever_may_not_ask_cannot_judge(cluster):
    running, _, token = cluster
    poor = Client(running.url, token=await token("may-not-review"))
    with pytest.raises(ConnectionError, match="403"):
        await Reviewer(poor)("any")
    await poor.close()
