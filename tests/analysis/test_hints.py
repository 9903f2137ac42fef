"""What programs and files name: Services in failing lines, names sought in vain, zones that DNS denies; what callers write names nothing."""

import pytest

from kubernaut.analysis.hints import blamed, denied_zone
from kubernaut.analysis.leads import own_words

SERVICES = {"db", "redis", "api"}
ADDRESSES = {"10.96.0.9": "db"}
ZONE = "template ANY ANY {} {{\n  rcode NXDOMAIN\n}}\nkubernetes cluster.local\n"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        pytest.param("dial tcp 10.96.0.9:5432: connect: connection refused", [("db", "shop", 5432)], id="by its address"),
        pytest.param("failed to connect to redis:6379", [("redis", "shop", 6379)], id="by name and port"),
        pytest.param("could not reach db.data.svc.cluster.local: timed out", [("db", "data", None)], id="elsewhere, in full"),
        pytest.param("lookup cart on 10.96.0.10:53: no such host", [("cart", "shop", None)], id="a name that no Service has"),
        pytest.param("getaddrinfo ENOTFOUND undefined", [], id="no name at all"),
        pytest.param("connection refused by the api of a partner", [], id="a word that is no host"),
        pytest.param("A record lookup error: connection refused", [], id="a word after lookup"),
        pytest.param("Read database URL: db:27777", [("db", "shop", 27777)], id="what it is going to call"),
        pytest.param("serving the api", [], id="a calm line"),
        pytest.param("failed to resolve dependency graph", [], id="what is resolved is no name"),
    ],
)
def test_services_are_named_by_lines_that_fail(line, named):
    assert [(row.name, row.namespace, row.port) for row in blamed(line, "shop", SERVICES, ADDRESSES)][:1] == named


@pytest.mark.parametrize(
    "line",
    [
        '10.0.0.9 - - "GET /?q=failed+to+connect+to+redis:6379 HTTP/1.1" 200 612',
        '10.0.0.9 - - "GET / HTTP/1.1" 404 153 "-" "connection refused redis:6379"',
        '{"path":"/x?failed to connect to redis:6379","status":404}',
    ],
    ids=["a query", "a browser's name", "a path"],
)
def test_what_callers_write_into_a_log_names_nothing(line):
    assert not list(blamed(own_words(line), "shop", SERVICES, ADDRESSES))


@pytest.mark.parametrize(
    ("zone", "denied"),
    [("svc.cluster.local", True), ("db.shop.svc.cluster.local", True), ("other.shop.svc.cluster.local", False), ("example.com", False)],
)
def test_a_zone_that_dns_denies_is_told_where_it_matters(zone, denied):
    assert denied_zone(ZONE.format(zone), ["db.shop"]) == (zone if denied else "")
