"""A client for the HTTP face of a Kubernetes API, and the definitions that tests use.

The word `example` in what a test sends, be it the namespace, the API group or the start of a name, stands on a foreign server for a word of
the test's own, and that word is `example` again in what the test reads. So tests read alike everywhere and never meet on one cluster.
"""

import contextlib
import io
import json
import secrets
import ssl
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from kubernaut.kube import kubeconfig
from kubernaut.localcluster import ClusterSettings, LocalCluster
from tests.localcluster.widgets import WIDGET
from tests.world import eventually

Obj = dict[str, Any]
EXAMPLE = "example"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
WIDGETS = "/apis/example.dev/v1alpha1/namespaces/example/widgets"
CONFIGMAPS = "/api/v1/namespaces/example/configmaps"
PODS = "/api/v1/namespaces/example/pods"
NAMESPACES = "/api/v1/namespaces"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

WIDGET_STATUS = {"type": "object", "properties": {"phase": {"type": "string"}}}
WIDGET_SCHEMA = {**WIDGET, "properties": {**WIDGET["properties"], "status": WIDGET_STATUS}}


def definition(plural="widgets", kind="Widget", group="example.dev", **version) -> Obj:
    row = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": WIDGET_SCHEMA}} | version
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, "shortNames": [kind[:2].lower()]},
            "versions": [row],
        },
    }


def widget_definition() -> Obj:
    columns = [
        {"name": "Size", "type": "string", "jsonPath": ".spec.size"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    return definition(subresources={"status": {}}, selectableFields=[{"jsonPath": ".spec.size"}], additionalPrinterColumns=columns)


def widget(name="one", **fields) -> Obj:
    spec = {"size": "medium", "owner": "ann"} | fields
    return {"apiVersion": "example.dev/v1alpha1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def configmap(name="one", **data) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name="p", **fields) -> Obj:
    spec = {"schedulerName": "nobody", "containers": [{"name": "a", "image": "busybox:1"}]} | fields
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


@dataclass
class Answer:
    status: int
    body: Any
    headers: Any

    @property
    def message(self) -> str:
        """What a refusal says; empty for what is no Status."""
        return str(self.body.get("message", ""))


@dataclass
class Http:
    """Talks to a cluster as one of its users."""

    session: aiohttp.ClientSession
    url: str
    token: str
    word: str = EXAMPLE
    """What stands for `example` there; of the same length."""
    who: dict[str, str] = field(default_factory=dict)
    """Headers that name another user to act as."""
    made: list[str] = field(default_factory=list)
    """Paths of what was created, in order."""

    def acting(self, token: str) -> "Http":
        return replace(self, token=token)

    def acting_as(self, user: str, group: str) -> "Http":
        """Return the administrator in the role of another user."""
        return replace(self, who=self.who | {"Impersonate-User": user, "Impersonate-Group": group})

    def _out(self, text: str) -> str:
        return text.replace(EXAMPLE, self.word)

    def _in(self, text: bytes) -> bytes:
        return text.replace(self.word.encode(), EXAMPLE.encode())

    def _headers(self, content_type: str, headers: dict[str, str]) -> dict[str, str]:
        given = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {"User-Agent": "tests/1.0", "Content-Type": content_type, **given, **self.who, **headers}

    async def ask(self, method: str, path: str, body: Any = None, *, content_type="application/json", headers=None, **query) -> Answer:
        data = None if body is None else self._payload(body)
        made = self._headers(content_type, headers or {})
        asked = {name: self._out(str(value)) for name, value in query.items()}
        async with self.session.request(method, self.url + self._out(path), data=data, headers=made, params=asked) as response:
            text = self._in(await response.read())
            is_json = "json" in response.headers.get("Content-Type", "") and text.strip()
            answer = Answer(response.status, json.loads(text) if is_json else text.decode(), response.headers)
        self._note(path, answer)
        return answer

    def _payload(self, body: Any) -> io.BytesIO:
        return io.BytesIO(body if isinstance(body, bytes) else self._out(json.dumps(body)).encode())

    def _note(self, path: str, answer: Answer) -> None:
        if answer.status == 201 and isinstance(answer.body, dict) and "uid" in answer.body.get("metadata", {}):
            name = answer.body["metadata"]["name"]
            self.made.append(path if path.endswith(f"/{name}") else f"{path}/{name}")

    async def get(self, path: str, **rest) -> Answer:
        return await self.ask("GET", path, **rest)

    async def post(self, path: str, body: Any, **rest) -> Answer:
        return await self.ask("POST", path, body, **rest)

    async def patch(self, path: str, body: Any, content_type=MERGE, **rest) -> Answer:
        return await self.ask("PATCH", path, body, content_type=content_type, **rest)

    async def delete(self, path: str, body: Any = None, **rest) -> Answer:
        return await self.ask("DELETE", path, body, **rest)

    @contextlib.asynccontextmanager
    async def watch(self, path: str, *, headers=None, **query):
        """Yield a function that gives the next event, None at the end of the stream."""
        made = self._headers("application/json", headers or {})
        asked = {"watch": "1"} | {name: self._out(str(value)) for name, value in query.items()}
        async with self.session.get(self.url + self._out(path), headers=made, params=asked) as response:
            assert response.status == 200, await response.text()

            async def following():
                line = self._in(await response.content.readline())
                return json.loads(line) if line else None

            yield following


async def answered(http: Http, path: str, holds=lambda answer: answer.status == 200, **rest) -> Answer:
    """Read until the answer is as it is to be, which other servers take a moment for."""

    answer = await http.get(path, **rest)

    async def found():
        nonlocal answer
        answer = await http.get(path, **rest)
        return holds(answer)

    await eventually(found)
    return answer


async def gone(http: Http, path: str) -> None:
    """Wait until there is nothing."""
    await answered(http, path, lambda answer: answer.status == 404)


@contextlib.asynccontextmanager
async def client(cluster: LocalCluster):
    """Give the administrator of an embedded cluster."""
    tls = ssl.create_default_context(cadata=cluster.certificate) if cluster.certificate else True
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        http = Http(session, cluster.url, cluster.admin_token)
        assert (await http.post(NAMESPACES, {"metadata": {"name": EXAMPLE}})).status in {201, 409}
        yield http


@contextlib.asynccontextmanager
async def served(settings: ClusterSettings):
    async with LocalCluster(settings) as cluster, client(cluster) as http:
        yield cluster, http


@contextlib.asynccontextmanager
async def visiting(path: str):
    """Give the administrator of the foreign cluster of a kubeconfig, with a namespace of the test's own; leave it as it was."""
    access = kubeconfig.load(path)
    given = (await access.credentials.current()).authorization
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=access.tls or True)) as session:
        http = Http(session, access.server, "", own_word(), {"Authorization": given} if given else {})
        try:
            await _furnish(http)
            yield http
        finally:
            await _leave(http)


def own_word() -> str:
    """Return a word that nobody else uses, as long as `example`."""
    return "x" + secrets.token_hex(3)


async def _furnish(http: Http) -> None:
    """Make the namespace, and in it what admission and counts rest on, which controllers bring elsewhere."""
    made = await http.post(NAMESPACES, {"metadata": {"name": EXAMPLE}})
    assert made.status == 201, made.body
    for plural, name in (("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt")):
        furnished = await http.post(f"{NAMESPACES}/{EXAMPLE}/{plural}", {"metadata": {"name": name}})
        assert furnished.status in {201, 409}, furnished.body


async def _leave(http: Http) -> None:
    """Delete what was made, newest first, and take finalizers off that nobody else would."""
    for path in reversed(http.made):
        answer = await http.delete(path, gracePeriodSeconds=0)
        if isinstance(answer.body, dict) and answer.body.get("metadata", {}).get("finalizers"):
            await http.patch(path, {"metadata": {"finalizers": None}})
