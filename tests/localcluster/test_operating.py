"""What whoever runs an embedded cluster sees of it: its figures, and what it logs."""

import asyncio
import contextlib
import gc
import http.client
import ssl

import aiohttp
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from kubernaut.localcluster import ClusterSettings
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.threaded import threaded
from kubernaut.localcluster.traces import MOST, told
from tests.localcluster.http import CONFIGMAPS, configmap, served

pytestmark = pytest.mark.cluster


async def figures(http):
    text = (await http.get("/metrics")).body
    return {(row.name, *sorted(row.labels.items())): row.value for family in text_string_to_metric_families(text) for row in family.samples}


def requests(verb, code, **labels):
    known = {"verb": verb, "group": "", "version": "v1", "resource": "configmaps", "subresource": "", "code": str(code)} | labels
    return ("apiserver_request_total", *sorted(known.items()))


async def test_metrics_count_requests_objects_watches_and_revisions():
    async with served(ClusterSettings()) as (cluster, http):
        before = await figures(http)
        await http.post(CONFIGMAPS, configmap())
        await http.post(CONFIGMAPS, configmap())
        await http.get(CONFIGMAPS)
        await http.get("/apis/no.such/v1/things/" + "x" * 100)
        async with http.watch(CONFIGMAPS) as following:
            await following()
            found = await figures(http)
        objects, watches = (("localcluster_watches", ("resource", "configmaps")), ("apiserver_storage_objects", ("resource", "configmaps")))
        assert [found[requests(*row)] for row in (("POST", 201), ("POST", 409), ("LIST", 200), ("WATCH", 200))] == [1, 1, 1, 1]
        assert found[requests("GET", 404, version="", resource="")] == 1
        assert (found[objects], found[watches] - before[watches]) == (1, 1)
        assert found[("localcluster_revision",)] == cluster.registry.store.revision
        assert not any("xxx" in str(key) for key in found)


async def test_metrics_need_the_right_to_read_them():
    async with served(ClusterSettings(rbac=True, anonymous=True)) as (_, http):
        assert (await http.acting("").get("/metrics")).status == 403
        assert (await http.post("/metrics", {})).status == 405


async def test_a_fault_of_ours_is_logged_without_what_variables_held(monkeypatch, capsys):
    structlog.reset_defaults()

    def broken(self, *_):
        raise ZeroDivisionError("a fault of ours")

    async with served(ClusterSettings(admin_token="very-secret-token")) as (_, http):
        monkeypatch.setattr(Registry, "get", broken)
        answer = await http.get(f"{CONFIGMAPS}/one")
    assert (answer.status, answer.body["reason"]) == (500, "InternalError")
    logged = "".join(capsys.readouterr())
    assert "a fault of ours" in logged
    assert "very-secret-token" not in logged


def test_a_long_trace_is_cut():
    error = ValueError("x" * 10 * MOST)
    assert len(told(error)) == MOST


async def test_who_leaves_before_an_answer_begins_is_no_fault(caplog):
    async with served(ClusterSettings()) as (_, http):
        host, port = http.url.removeprefix("http://").split(":")
        for _ in range(20):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET {CONFIGMAPS}?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {http.token}\r\n\r\n".encode())
            writer.transport.abort()
        with contextlib.suppress(aiohttp.ClientError):
            assert (await http.get(CONFIGMAPS)).status == 200
    assert [row.getMessage() for row in caplog.records if row.exc_info] == []


def test_a_cluster_stops_while_readers_hold_on_and_leaves_nothing_open():
    with threaded(ClusterSettings(tls=True, admin_token="t")) as cluster:
        tls = ssl.create_default_context(cadata=cluster.certificate)
        reader = http.client.HTTPSConnection(cluster.url.removeprefix("https://"), context=tls)
        reader.request("GET", "/api/v1/namespaces?watch=1", headers={"Authorization": "Bearer t"})
        assert b"ADDED" in reader.getresponse().readline()
    with contextlib.closing(reader):
        gc.collect()  # what was left open would be told now, which fails the test
