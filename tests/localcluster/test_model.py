"""Random histories of objects against a dict: what was answered must be so, over watches, forgotten history, and restarts from the file.

History is forgotten and the process restarted on demand: over the embedded cluster alone.
"""

import asyncio
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from kubernaut.localcluster import ClusterSettings, LocalCluster, listing
from kubernaut.localcluster.errors import ApiError
from kubernaut.localcluster.selecting import Selection
from kubernaut.localcluster.store import History
from kubernaut.localcluster.watching import Asked, Stream

FINALIZER = "example.dev/kept"
NAMESPACES = st.sampled_from(["default", "kube-public"])
NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["1", "2"])
SELECTORS = st.sampled_from(["", "tier=front"])
SCOPES = st.sampled_from(["", "default"])
LATEST = "zzz"
"""The object whose event ends a replay."""


@dataclass(frozen=True)
class Listed:
    """A list that a client made: where it looked, the version it was told and what it saw."""

    namespace: str
    selector: str
    version: int
    seen: list[Any]


def key(obj):
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def keyed(objects):
    return {key(obj): obj for obj in objects if obj["metadata"]["name"] not in {"kube-root-ca.crt", LATEST}}


class Machine(RuleBasedStateMachine):
    listed = Bundle("listed")
    read = Bundle("read")

    @initialize()
    def open(self):
        self.home = tempfile.TemporaryDirectory()
        self.settings = ClusterSettings(database=str(Path(self.home.name) / "db"), history=History(revisions=30))
        self.runner = asyncio.Runner()
        self.model = {}
        self.newest = 0
        self.start()

    def start(self):
        self.cluster = LocalCluster(self.settings)
        self.api, self.store = self.cluster.api, self.cluster.registry.store
        self.kind = self.api.kind("", "configmaps")

    def teardown(self):
        if hasattr(self, "cluster"):
            self.runner.run(self.cluster.stop())
            self.runner.close()
            self.home.cleanup()

    def ask(self, work):
        """Return what a call answers, or the error it ends with."""
        try:
            return self.runner.run(work)
        except ApiError as error:
            return error

    def written(self, obj):
        """Note an acknowledged write."""
        assert int(obj["metadata"]["resourceVersion"]) > self.newest
        self.newest = int(obj["metadata"]["resourceVersion"])
        self.model[key(obj)] = obj
        return obj

    @rule(target=read, namespace=NAMESPACES, name=NAMES, value=VALUES, front=st.booleans(), kept=st.booleans())
    def create(self, namespace, name, value, front, kept):
        meta = {"name": name, "namespace": namespace, "labels": {"tier": "front" if front else "back"}, "finalizers": [FINALIZER] * kept}
        made = self.ask(self.api.create(self.kind, {"metadata": meta, "data": {"v": value}}))
        if (namespace, name) in self.model:
            assert (made.code, made.reason) == (409, "AlreadyExists")
            return self.model[namespace, name]
        assert made["data"] == {"v": value}
        return self.written(made)

    @rule(target=read, known=read, value=VALUES, front=st.booleans())
    def replace(self, known, value, front):
        body = {**known, "data": {"v": value}, "metadata": known["metadata"] | {"labels": {"tier": "front" if front else "back"}}}
        answer, now = self.ask(self.api.update(self.kind, body)), self.model.get(key(known))
        if now is None:
            assert answer.code == 404
            return known
        if now["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]:
            assert (answer.code, answer.reason) == (409, "Conflict")
            return now
        return self.changed(answer, now, (now["data"], now["metadata"]["labels"]) == (body["data"], body["metadata"]["labels"]))

    def changed(self, answer, before, same):
        if same:
            assert answer == before
            return answer
        assert answer["metadata"]["uid"] == before["metadata"]["uid"]
        return self.written(answer)

    @rule(target=read, namespace=NAMESPACES, name=NAMES, value=VALUES)
    def patch(self, namespace, name, value):
        answer = self.ask(self.api.patch(self.kind, name, namespace, {"data": {"v": value}}))
        now = self.model.get((namespace, name))
        if now is None:
            assert answer.code == 404
            return {"metadata": {"name": name, "namespace": namespace, "uid": "", "resourceVersion": "1"}}
        return self.changed(answer, now, now["data"] == {"v": value})

    @rule(namespace=NAMESPACES, name=NAMES)
    def release(self, namespace, name):
        answer = self.ask(self.api.patch(self.kind, name, namespace, {"metadata": {"finalizers": None}}))
        now = self.model.get((namespace, name))
        if now is None:
            assert answer.code == 404
        elif "deletionTimestamp" in now["metadata"]:
            self.gone(namespace, name)
        else:
            self.changed(answer, now, "finalizers" not in now["metadata"])

    def gone(self, namespace, name):
        del self.model[namespace, name]
        assert self.store.revision > self.newest
        self.newest = self.store.revision

    @rule(namespace=NAMESPACES, name=NAMES, uid=st.booleans())
    def delete(self, namespace, name, uid):
        now = self.model.get((namespace, name))
        answer = self.ask(self.api.delete(self.kind, name, namespace, uid="another" if uid else ""))
        if now is None:
            assert answer.code == 404
        elif uid:
            assert answer.code == 409
        elif not now["metadata"].get("finalizers"):
            self.gone(namespace, name)
        elif "deletionTimestamp" not in now["metadata"]:
            self.written(self.ask(self.api.get(self.kind, name, namespace)))
            assert "deletionTimestamp" in self.model[namespace, name]["metadata"]

    @rule(writes=st.lists(st.tuples(st.sampled_from("crpd"), NAMESPACES, NAMES, VALUES, st.booleans()), min_size=3, max_size=10))
    def much_happens(self, writes):
        for what, namespace, name, value, flag in writes:
            if what == "c":
                self.create(namespace, name, value, flag, False)
            elif what == "r" and (namespace, name) in self.model:
                self.replace(self.model[namespace, name], value, flag)
            elif what == "p":
                self.patch(namespace, name, value)
            elif what == "d":
                self.delete(namespace, name, False)

    def page(self, namespace, selector, **asked):
        return listing.page(self.cluster.registry, self.kind, namespace, Selection(self.kind, selector, ""), listing.Asked(**asked))

    @rule(target=listed, namespace=SCOPES, selector=SELECTORS)
    def list(self, namespace, selector):
        page = self.page(namespace, selector)
        seen = keyed(record.obj for record in page.records)
        assert seen == self.expected(namespace, selector)
        return Listed(namespace, selector, page.revision, json.loads(json.dumps([*seen.values()])))

    def expected(self, namespace, selector):
        chosen = {where: obj for where, obj in self.model.items() if not namespace or where[0] == namespace}
        return {where: obj for where, obj in chosen.items() if not selector or obj["metadata"]["labels"]["tier"] == "front"}

    @rule(then=listed)
    def list_as_it_was(self, then):
        """An exact list of the past is what was seen then, unless it is forgotten."""
        forgotten = then.version < self.store.floor(self.kind.stored) and then.version != self.store.revision
        if forgotten:
            with pytest.raises(ApiError, match="too old"):
                self.page(then.namespace, then.selector, version=then.version, exact=True)
            return
        page = self.page(then.namespace, then.selector, version=then.version, exact=True)
        assert keyed(record.obj for record in page.records) == keyed(then.seen)

    @rule(namespace=SCOPES, selector=SELECTORS, name=NAMES)
    def list_in_pages_while_something_is_written(self, namespace, selector, name):
        wanted, found = self.expected(namespace, selector), []
        page = self.page(namespace, selector, limit=2)
        found += page.records
        while page.token:
            self.patch("default", name, str(self.newest))
            page = self.page(namespace, selector, limit=2, token=page.token)
            found += page.records
        assert keyed(record.obj for record in found) == wanted

    @rule(then=listed)
    def watch_from_a_list(self, then):
        """What a list saw, and what a watch from it tells, make what a new list sees; it is told to list again only where history is gone."""
        state = self.runner.run(self.replay(then))
        if state is not None:
            assert state == self.expected(then.namespace, then.selector)

    async def replay(self, then):
        end = await self.api.create(
            self.kind, {"metadata": {"name": LATEST, "namespace": "default", "labels": {"tier": "front"}, "finalizers": []}}
        )
        state = keyed(then.seen)
        forgotten = then.version < self.store.floor(self.kind.stored)
        stream = Stream(
            self.store, self.kind, then.namespace, Selection(self.kind, then.selector, ""), lambda record, data: data or record.data
        )
        versions = [then.version]
        lines: Any = stream.lines(Asked(then.version))
        try:
            async for chunk in lines:
                for line in chunk.splitlines():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        assert (event["object"]["reason"], forgotten) == ("Expired", True)
                        return None
                    assert not forgotten
                    if event["object"]["metadata"]["resourceVersion"] == end["metadata"]["resourceVersion"]:
                        return state
                    tell(state, event)
                    versions.append(int(event["object"]["metadata"]["resourceVersion"]))
                    assert versions == sorted(set(versions))
        finally:
            await lines.aclose()
            await self.api.delete(self.kind, LATEST, "default")
            self.newest = self.store.revision

    @rule()
    def forget_history(self):
        self.store.expire()

    @rule()
    def restart(self):
        self.runner.run(self.cluster.stop())
        self.start()
        assert self.store.revision >= self.newest

    @precondition(lambda self: hasattr(self, "cluster"))
    @invariant()
    def everything_acknowledged_is_there(self):
        assert keyed(record.obj for record in self.store.scan(self.kind.stored)) == self.model


def tell(state, event):
    """Bring an event into a client's picture, which it must fit."""
    obj = event["object"]
    if obj["metadata"]["name"] == LATEST:
        return
    assert (key(obj) in state) == (event["type"] != "ADDED")
    if event["type"] == "DELETED":
        del state[key(obj)]
    else:
        state[key(obj)] = obj


TestModel = Machine.TestCase
EXAMPLES = settings().max_examples * 2 // 5
TestModel.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
