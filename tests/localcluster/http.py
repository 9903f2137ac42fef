"""A client for the embedded cluster's HTTP face, and the definitions its tests use."""

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from kubernaut.localcluster import ClusterSettings, LocalCluster
from tests.localcluster.widgets import WIDGET

Obj = dict[str, Any]
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
WIDGETS = "/apis/example.dev/v1alpha1/namespaces/default/widgets"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
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
    spec = {"containers": [{"name": "a", "image": "busybox:1"}]} | fields
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


@dataclass
class Answer:
    status: int
    body: Any
    headers: Any

    @property
    def message(self) -> str:
        return str(self.body["message"])


class Http:
    """Talks to a cluster as one of its users."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self.session = session
        self.url = url
        self.token = token

    def acting(self, token: str) -> "Http":
        return Http(self.session, self.url, token)

    def _headers(self, content_type: str, headers: dict[str, str]) -> dict[str, str]:
        given = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {"User-Agent": "tests/1.0", "Content-Type": content_type, **given, **headers}

    async def ask(self, method: str, path: str, body: Any = None, *, content_type="application/json", headers=None, **query) -> Answer:
        data = None if body is None else io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        made = self._headers(content_type, headers or {})
        async with self.session.request(method, self.url + path, data=data, headers=made, params=query) as response:
            text = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "") and text.strip()
            return Answer(response.status, json.loads(text) if is_json else text.decode(), response.headers)

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
        async with self.session.get(self.url + path, headers=made, params={"watch": "1", **query}) as response:
            assert response.status == 200, await response.text()

            async def following():
                line = await response.content.readline()
                return json.loads(line) if line else None

            yield following


@contextlib.asynccontextmanager
async def client(cluster: LocalCluster):
    async with aiohttp.ClientSession() as session:
        yield Http(session, cluster.url, cluster.admin_token)


@contextlib.asynccontextmanager
async def served(settings: ClusterSettings):
    async with LocalCluster(settings) as cluster, client(cluster) as http:
        yield cluster, http
