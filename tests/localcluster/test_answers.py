"""How the server answers at its edges: faults of its own, callers who accept protobuf alone, times with offsets, long refusals."""

import pytest

from kubernaut.localcluster.protobuf import MAGIC, wire_fields
from kubernaut.localcluster.protobufstatus import encode_status
from tests.localcluster.http import CONFIGMAPS, PODS, configmap, pod

LEASES = "/apis/coordination.k8s.io/v1/namespaces/example/leases"


class Broken:
    """A gate with a fault in it."""

    def mutate(self, kind, obj, call):
        raise ZeroDivisionError("division by zero")

    def check(self, kind, operation, new, old, call, subresource):
        pass


async def test_a_fault_of_the_server_is_a_status_and_ends_one_request(cluster, http):
    cluster.registry.gates.append(Broken())
    answer = await http.post(CONFIGMAPS, configmap())
    assert (answer.status, answer.body["reason"]) == (500, "InternalError")
    assert answer.message == "Internal error occurred: ZeroDivisionError: division by zero"
    cluster.registry.gates.pop()
    assert (await http.post(CONFIGMAPS, configmap())).status == 201


def decoded(wire, *numbers):
    for number in numbers:
        wire = dict(wire_fields(wire))[number]
    return wire


def test_a_status_in_protobuf_carries_its_details_and_causes():
    causes = [{"reason": "FieldValueInvalid", "message": "bad", "field": "spec.x"}]
    details = {"name": "one", "group": "example.dev", "kind": "Widget", "causes": causes, "retryAfterSeconds": 1}
    status = {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": "m" * 200,
        "code": 422,
        "details": details,
    }
    wire = encode_status(status)
    assert wire.startswith(MAGIC)
    body = wire[len(MAGIC) :]
    assert (decoded(body, 1, 1), decoded(body, 1, 2)) == (b"v1", b"Status")
    assert (decoded(body, 2, 3), decoded(body, 2, 6)) == (b"m" * 200, 422)
    assert (decoded(body, 2, 5, 1), decoded(body, 2, 5, 5), decoded(body, 2, 5, 4, 3)) == (b"one", 1, b"spec.x")


TIMES = {
    "an offset": ("2024-01-01T02:00:08.000000+02:00", "2024-01-01T00:00:08.000000Z"),
    "the edge of the calendar": ("0001-01-01T00:00:00.000000+02:00", "0001-01-01T00:00:00.000000+02:00"),
    "an early year": ("0999-01-01T00:00:00.000000Z", "0999-01-01T00:00:00.000000Z"),
}


@pytest.mark.parametrize(("given", "stored"), TIMES.values(), ids=TIMES)
async def test_times_are_stored_in_utc(http, given, stored):
    made = await http.post(LEASES, {"metadata": {"name": "l"}, "spec": {"renewTime": given}})
    assert made.body["spec"]["renewTime"] == stored


async def test_a_refused_change_of_a_pod_shows_the_difference(http):
    await http.post(PODS, pod())
    refused = await http.patch(f"{PODS}/p", {"spec": {"dnsPolicy": "Default", "hostNetwork": True}})
    told = refused.body["details"]["causes"][0]["message"].splitlines()
    assert [line for line in told if line.startswith(("-", "+"))] == [
        '- "DNSPolicy": "ClusterFirst",',
        '+ "DNSPolicy": "Default",',
        '-  "HostNetwork": false,',
        '+  "HostNetwork": true,',
    ]


async def test_the_log_of_the_container_before_is_asked_for_with_previous(cluster, http):
    await http.post("/api/v1/nodes", {"metadata": {"name": "n"}})
    await http.post(PODS, pod(nodeName="n"))
    withdraw = cluster.logs.publish(lambda *place, previous: "before\n" if previous else "now\n")
    assert (await http.get(f"{PODS}/p/log")).body == "now\n"
    assert (await http.get(f"{PODS}/p/log", previous="true")).body == "before\n"
    withdraw()
    missing = await http.get(f"{PODS}/p/log", previous="true")
    assert (missing.status, missing.message) == (400, 'previous terminated container "a" in pod "p" not found')
