"""What every action keeps: refused before anything happens, tried dry without a trace, done once, on record, and taken back exactly.

A scene holds one object of each kind that actions act on, all called `api`; parameters are picked by their names. A new action whose
parameters have other names adds them to WORDS.
"""

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.base import Kind, Obj
from kubernaut.api.core import DAEMON_SET, DEPLOYMENT, NAMESPACE, POD, REPLICA_SET, STATEFUL_SET
from kubernaut.api.execution import KubernetesExecution, UndoKind
from kubernaut.api.plan import Operation
from kubernaut.execution.actions.base import Effect
from kubernaut.execution.actions.registry import Registry, built
from kubernaut.execution.actions.workloads import REVISION_ANNOTATION
from kubernaut.execution.reconciler import setup
from kubernaut.execution.safety import Refused, Safety
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.kube.client import Client
from tests.execution import world as scene
from tests.execution.world import SHOP, World
from tests.workflow.bench import KillingClient, bench_of

SAFETY = Safety(Client("http://127.0.0.1:1"), Registry(built()), ExecutionSettings())
WORDS = {
    "namespace": SHOP,
    "replicas": 3,
    "memory": "256Mi",
    "patch": {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:9"}]}}}},
    "message": "look at the database",
    "grace_period_seconds": 1,
}
NAMES = {POD.kind: "api-0"}
"""The pod is the StatefulSet's first, whose name is known beforehand."""
WORKLOADS: tuple[Kind, ...] = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)
OWN = {kind.kind for kind in WORKLOADS}
every_action = pytest.mark.parametrize("action", built(), ids=lambda action: action.name)


def parameters(action):
    """Return what the action is told in the scene."""
    given = {name: value for name, value in WORDS.items() if name in action.parameters.model_fields}
    if "resource_name" not in action.parameters.model_fields:
        return given
    target = action.target(action.parameters.model_validate(given | {"resource_name": "api"}))
    return given | {"resource_name": NAMES.get(target.kind.kind, "api")}


def target(action):
    return action.target(action.parameters.model_validate(parameters(action)))


def operation(action, **changes):
    return {"action": action.name, "parameters": parameters(action) | changes, "timeout": "20s"}


def resolved(action, given):
    return SAFETY.resolve(Operation.model_validate({"stepNumber": 1, "action": action.name, "parameters": given}))


class Standing(NamedTuple):
    """What people write of an object, and what tells it from another of its name."""

    uid: str
    generation: int | None
    spec: Obj


class Scene(World):
    """One object of each kind, the Deployment in its second revision, and the controllers that roll them out."""

    async def build(self):
        await self.client.create(NAMESPACE, {"metadata": {"name": SHOP}})
        for kind in WORKLOADS:
            await self.client.create(kind, {"metadata": {"name": "api", "namespace": SHOP}, "spec": self._spec(kind)})
        await self.until(DEPLOYMENT, SHOP, "api", lambda obj: REVISION_ANNOTATION in (obj["metadata"].get("annotations") or {}))
        await self.client.patch(DEPLOYMENT, "api", SHOP, {"spec": {"template": {"metadata": {"annotations": {"second": "yes"}}}}})
        await self.rest()

    def _spec(self, kind):
        labels = {"app": f"api-{kind.plural}"}
        container = {"name": "app", "image": "app:1", "resources": {"limits": {"memory": "128Mi"}}}
        spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}
        return spec if kind is DAEMON_SET else spec | {"replicas": 2} | ({"serviceName": "api"} if kind is STATEFUL_SET else {})

    async def rest(self):
        """Wait until every workload has rolled out."""
        for kind in WORKLOADS:
            newest = (await self.client.get(kind, "api", SHOP))["metadata"]["generation"]
            await self.until(kind, SHOP, "api", partial(at_rest, newest=newest))

    async def state(self):
        """Return everything that people write, by kind and name, with what tells one object from another of its name."""
        found = [
            (kind, obj, obj["metadata"]) for kind in (*WORKLOADS, REPLICA_SET, POD) for obj in (await self.client.list(kind, SHOP)).items
        ]
        return {
            (kind.kind, meta["name"]): Standing(meta["uid"], meta.get("generation"), obj["spec"])
            for kind, obj, meta in found
            if "deletionTimestamp" not in meta
        }

    @asynccontextmanager
    async def dying(self):
        """Give a client that dies when its first effect on the scene is carried out."""
        client = DyingClient(self.cluster.url, token=self.cluster.admin_token)
        client.dead = asyncio.Event()
        yield client
        await client.close()

    def changed(self, before, after):
        """Return whose spec was changed exactly once, or who was replaced; anything that changed twice is a fault."""
        steps = {
            key: (after[key].generation or 0) - (each.generation or 0) for key, each in before.items() if key in after and key[0] in OWN
        }
        assert set(steps.values()) <= {0, 1}
        replaced = {key for key, each in before.items() if key == (POD.kind, NAMES[POD.kind]) and after[key].uid != each.uid}
        rolled = {key for key, step in steps.items() if step}
        return rolled or replaced

    async def on_record(self, action, where, before, result):
        """Check the record of an action, and take the action back."""
        (changed,) = result["resourcesAffected"]
        assert (changed["kind"], changed["namespace"], changed["name"]) == (where.kind.kind, SHOP, where.name)
        assert all(check["passed"] for check in result["checks"])
        undo = result.get("undo") or {"kind": "none"}
        assert undo["kind"] == action.undo.value
        if action.undo is UndoKind.EXACT:
            assert changed["before"] != changed["after"]
            await self.client.patch(where.kind, where.name, SHOP, undo["patch"])
            assert (await self.client.get(where.kind, where.name, SHOP))["spec"] == before[where.kind.kind, where.name].spec


class DyingClient(KillingClient):
    """Carries out its first effect; the answer never arrives, and no further request does: the process is dead."""

    async def _send(self, method, *args, **kwargs):
        acts = method in {"PATCH", "DELETE"} and f"/namespaces/{SHOP}/" in args[0] and "dryRun" not in str((args, kwargs))
        self.writes_left = 1 if acts else -1
        return await super()._send(method, *args, **kwargs)


def stage(manager):
    setup(manager, ExecutionSettings(poll=0.2))


def at_rest(obj, newest):
    status, spec = obj.get("status") or {}, obj["spec"]
    wanted = status.get("desiredNumberScheduled", 0) if "replicas" not in spec else spec["replicas"]
    updated = status.get("updatedReplicas", status.get("updatedNumberScheduled", 0))
    there = status.get("availableReplicas", status.get("numberAvailable", 0))
    present = status.get("replicas", status.get("currentNumberScheduled", 0))
    seen = obj["metadata"]["generation"] >= newest and status.get("observedGeneration") == obj["metadata"]["generation"]
    return seen and wanted > 0 and updated == there == present == wanted


@pytest.fixture
async def shop(monkeypatch):
    monkeypatch.setattr(scene, "WANTED", (*scene.WANTED, "statefulsets", "daemonsets"))
    async with bench_of(Scene, KubernetesExecution) as bench:
        bench.start_stand_ins()
        await bench.build()
        yield bench


def test_names_are_each_ones_own_and_canonical():
    names = [action.name for action in built()]
    assert len(set(names)) == len(names)
    assert all(name == name.replace("-", "_").lower() for name in names)


@every_action
def test_what_is_told_in_the_scene_is_understood(action):
    found = resolved(action, parameters(action))
    assert (found.action.name, found.target) == (action.name, target(action))


@every_action
def test_an_unknown_parameter_is_refused(action):
    with pytest.raises(Refused, match="surprise"):
        resolved(action, parameters(action) | {"surprise": 1})


@every_action
def test_a_required_parameter_that_is_missing_is_refused_by_name(action):
    for name, field in action.parameters.model_fields.items():
        if field.is_required():
            with pytest.raises(Refused, match=name):
                resolved(action, {key: value for key, value in parameters(action).items() if key != name})


@every_action
@pytest.mark.parametrize(
    "wrong", [["a list"], {"an": "object"}, "\x00", "x" * 100_000, "../../etc; rm -rf /"], ids=["list", "object", "control", "long", "path"]
)
def test_a_name_that_is_none_is_refused(action, wrong):
    for name in {"namespace", "resource_name"} & set(action.parameters.model_fields):
        with pytest.raises(Refused, match=name):
            resolved(action, parameters(action) | {name: wrong})


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.none(), max_size=2),
)


@every_action
@given(data=st.data())
def test_no_parameters_make_anything_but_an_action_or_a_refusal(action, data):
    names = st.sampled_from(sorted(action.parameters.model_fields)) | st.text(max_size=10)
    told = parameters(action) | data.draw(st.dictionaries(names, ODD, max_size=4))
    try:
        found = resolved(action, told)
    except Refused as fault:
        assert str(fault)  # noqa: PT017
    else:
        assert type(found.given).model_validate(found.given.model_dump()) == found.given


@every_action
def test_rights_asked_for_are_those_on_the_target(action):
    given = action.parameters.model_validate(parameters(action))
    where = target(action)
    needed = action.access(given)
    assert all(access.namespace == SHOP and access.verb in {"get", "list", "patch", "delete"} for access in needed)
    assert not needed if where is None else {("get", where.kind, where.name)} <= {(each.verb, each.kind, each.name) for each in needed}


async def test_planning_and_a_dry_run_change_nothing(shop):
    """One scene serves all actions: none of them leaves a trace."""
    before = await shop.state()
    async with shop.at_work(stage):
        for number, action in enumerate(built()):
            given = action.parameters.model_validate(parameters(action))
            first, second = [await action.plan(shop.client, given, "u-1/1") for _ in range(2)]
            assert (first.effect, first.patch, first.faults) == (second.effect, second.patch, second.faults)
            assert not first.faults, action.name
            assert (first.effect is Effect.NOTHING) == (target(action) is None), action.name
            await shop.execute(operation(action), name=f"rr-{number}-execution", dryRun=True)
            status = await shop.ended(f"rr-{number}-execution")
            assert [result["phase"] for result in status["operationResults"]] == ["Validated"], action.name
            assert await shop.state() == before, action.name


@every_action
async def test_a_process_killed_as_it_acts_has_acted_once_on_record_and_is_taken_back_as_it_says(shop, action):
    where, before = target(action), await shop.state()
    async with shop.dying() as client, shop.at_work(stage, client):
        await shop.execute(operation(action))
        await shop.ended_or(client.dead)
        assert client.dead.is_set() == (where is not None)
    async with shop.at_work(stage):
        status = await shop.ended()
    assert status["phase"] == "Completed", status
    await shop.rest()
    changed = shop.changed(before, await shop.state())
    assert changed == ({(where.kind.kind, where.name)} if where else set())
    if where is not None:
        await shop.on_record(action, where, before, status["operationResults"][0])
