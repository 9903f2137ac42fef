"""Logs: which are asked for, how they are read and from where, and what they may change: never a target or a fix."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kubernaut.analysis.collect import Collector
from kubernaut.analysis.diagnosis import Diagnosis
from kubernaut.analysis.investigators.base import Question, Verdict
from kubernaut.analysis.investigators.rules.complaints import telling
from kubernaut.analysis.investigators.rules.investigator import RuleInvestigator, judge
from kubernaut.analysis.logs import ALIKE, BYTES, UNREAD, ApiLogs, Logs, RecentLogs, Wanted, last_lines, wanted
from kubernaut.api import core
from kubernaut.api.analysis import AnalysisRequest
from kubernaut.api.base import Obj
from kubernaut.cli.logfiles import FileLogs
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.kube.transport import Request
from tests.analysis.cases import cases
from tests.analysis.planted import PLANTS
from tests.analysis.shelf import Shelf
from tests.analysis.world import CRASHED, NS, OOM, T0, World, container, crash_loop, ended, event, running, waiting

KEY = f"{NS}/checkout-hash1-0/app"
CRASHING = World(statuses=[[crash_loop(CRASHED)]] * 3)
UNREADY = World(
    containers=[container(ports=[{"containerPort": 8080}], readinessProbe={"httpGet": {"path": "/", "port": 8080}})],
    statuses=[[running(ready=False)]] * 3,
    events=[event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")],
)


def with_log(world: World, text: str, *services: Obj) -> Any:
    snapshot = world.snapshot()
    return judge(replace(snapshot, logs={KEY: text}, related={**snapshot.related, "Service": services}))


def service(name: str, address: str = "10.96.0.9") -> Obj:
    spec = {"selector": {"app": name}, "clusterIP": address, "ports": [{"port": 5432}]}
    return {"kind": "Service", "metadata": {"name": name, "namespace": NS}, "spec": spec}


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        pytest.param(crash_loop(CRASHED), [True], id="the one before of one that crashes"),
        pytest.param({"name": "app", "ready": False, "state": {"terminated": CRASHED}}, [False], id="the last of one that is down"),
        pytest.param(running(ready=False), [False], id="the present one of one that does not serve"),
        pytest.param(crash_loop(OOM), [], id="none where the kernel says why"),
        pytest.param(crash_loop(ended("Error", 1, message="no such table")), [], id="none where it left last words"),
        pytest.param(waiting("ImagePullBackOff"), [], id="none of one that never ran"),
        pytest.param(running(), [False], id="the present one of one that is well, where nothing is wrong beside it"),
    ],
)
def test_only_logs_that_would_help_are_asked_for(status, asked):
    assert [row.previous for row in wanted(World(statuses=[[status]]).snapshot())] == asked


def test_of_pods_that_are_alike_a_few_are_read():
    rows = wanted(World(statuses=[[crash_loop(CRASHED)]] * 9, replicas=9).snapshot())
    assert (len(rows), rows[0]) == (ALIKE, Wanted(NS, "checkout-hash1-0", "app", previous=True))


def test_a_log_is_cut_at_whole_lines_and_without_secrets():
    text = "\n".join(f"{number} " + "x" * 900 for number in range(300)) + "\npassword=hunter2 refused"
    kept = last_lines(text)
    assert len(kept) <= BYTES
    assert kept.splitlines()[0].endswith("x" * 900)
    assert kept.splitlines()[0].split()[0].isdecimal()
    assert "refused" in kept
    assert "hunter2" not in kept


def test_of_a_key_that_was_cut_in_two_nothing_is_kept():
    rows = "\n".join(["MIIEvQ" + "a" * 58] * 400)
    kept = last_lines(f"-----BEGIN PRIVATE KEY-----\n{rows}\n-----END PRIVATE KEY-----\npanic: no disk")
    assert kept.strip() == "panic: no disk"
    whole = last_lines(f"a\n-----BEGIN PRIVATE KEY-----\n{rows[:130]}\n-----END PRIVATE KEY-----\nb")
    assert "MIIE" not in whole
    assert whole.startswith("a")


def test_lines_that_tell_of_trouble_are_kept_and_calm_ones_are_not():
    text = "INFO connection refused once, trying again\nlevel=debug msg=error\nE1122 03:04:05 lookup db: no such host\nserving\n"
    assert telling(text) == "E1122 03:04:05 lookup db: no such host"
    assert telling("one\ntwo\n") == "one\ntwo"


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("dial tcp 10.96.0.9:5432: connect: connection refused", "DependencyUnreachable"),
        ("open /data/lock: permission denied", "FilePermissionDenied"),
        ("listen tcp :8080: bind: address already in use", "PortInUse"),
        ("FATAL: environment variable API_URL is not set", "ConfigurationInvalid"),
        ("tls: failed to verify certificate: x509: certificate has expired", "CertificateExpired"),
        ("FATAL: password authentication failed for user app", "CredentialsRejected"),
        ("ERROR: relation accounts does not exist", "DatabaseSchemaMismatch"),
        ("panic: runtime error: index out of range", "ApplicationCrash"),
    ],
)
def test_a_log_tells_why_a_program_crashes(line, cause):
    found = with_log(CRASHING, f"INFO starting\n{line}\n")
    assert (found.cause.name, found.target.path(), found.action) == (cause, "shop/deployment/checkout", "")
    assert [row.value for row in found.cause.evidence if row.field == "log[app]"] == [line]


def test_a_program_that_only_waits_is_less_sure_than_one_that_crashed():
    line = "password authentication failed for user app"
    waits, crashed = with_log(UNREADY, line), with_log(CRASHING, line)
    assert (waits.cause.name, crashed.cause.name) == ("CredentialsRejected", "CredentialsRejected")
    assert waits.cause.confidence < crashed.cause.confidence
    assert [row.cause for row in waits.alternatives] == ["ReadinessProbeFailing"]


@pytest.mark.parametrize(
    ("line", "services", "says"),
    [
        (
            "connect to ledger-db:5432: connection refused",
            [service("ledger-db")],
            "names Service ledger-db: 0 of 0 pods behind it are ready",
        ),
        ("dial tcp 10.96.0.9:5432: connection refused", [service("ledger-db")], "names Service ledger-db: 0 of 0 pods"),
        ("lookup ledger-db on 10.96.0.10:53: no such host", [service("other", "10.96.0.8")], "no Service has the name it looks up"),
    ],
    ids=["by its name", "by its address", "by a name that nobody has"],
)
def test_services_that_a_log_names_are_looked_up(line, services, says):
    found = with_log(UNREADY, line, *services)
    assert found.cause.name == "DependencyUnreachable"
    assert any(says in row.says for row in found.cause.evidence)
    assert found.cause.confidence > with_log(UNREADY, "connection refused").cause.confidence
    assert found.target.path() == "shop/deployment/checkout"


def test_a_grave_fault_in_the_log_makes_a_symptom_less_sure_and_is_quoted():
    found, calm = with_log(UNREADY, "java.lang.OutOfMemoryError: Java heap space"), UNREADY.judged()
    assert (found.cause.name, found.action) == (calm.cause.name, calm.action)
    assert found.cause.confidence < calm.cause.confidence
    assert "Java heap space" in found.cause.evidence[-1].value


def test_what_nobody_knows_is_quoted_from_the_log():
    found = with_log(World(statuses=[[running(ready=False)]] * 3), "the moon is in the wrong house")
    assert (found.cause.name, found.cause.evidence[0].value) == ("Unknown", "the moon is in the wrong house")


REFUSED = "2026-03-02T11:58:0{}Z ERROR payment 17 failed: dial tcp 10.96.0.9:5432: connect: connection refused"
SERVES = World(statuses=[[running()]] * 3)


@pytest.mark.parametrize(
    ("lines", "verdict", "cause"),
    [
        pytest.param([REFUSED.format(i) for i in range(5)], Verdict.CAUSE_FOUND, "DependencyUnreachable", id="several say the same"),
        pytest.param([REFUSED.format(i) for i in range(4)], Verdict.NO_ACTION, "Healthy", id="few tell nothing"),
        pytest.param([f"ERROR the moon is in house {i}" for i in range(5)], Verdict.INCONCLUSIVE, "Unknown", id="errors that nobody knows"),
        pytest.param(
            [*(f"INFO order {i} is paid" for i in range(60)), *(REFUSED.format(i) for i in range(6))],
            Verdict.NO_ACTION,
            "Healthy",
            id="a few among much that goes well",
        ),
        pytest.param(
            [f"INFO retry {i}: connection refused" for i in range(9)], Verdict.NO_ACTION, "Healthy", id="no errors to the program"
        ),
        pytest.param(
            [REFUSED.format(0), *(f"ERROR the moon is in house {i}" for i in range(9))],
            Verdict.INCONCLUSIVE,
            "Unknown",
            id="one among others",
        ),
    ],
)
def test_a_program_that_serves_and_complains_is_heard_and_nothing_is_changed_for_it(lines, verdict, cause):
    found = with_log(SERVES, "\n".join(lines))
    assert (found.verdict, found.cause.name, found.action) == (verdict, cause, "")
    assert found.cause.confidence <= 0.6 or verdict is Verdict.NO_ACTION


@pytest.mark.parametrize(
    "world", [CRASHING, UNREADY, World(statuses=[[crash_loop(OOM)]] * 3)], ids=["crashing", "unready", "out of memory"]
)
def test_a_hundred_planted_texts_in_logs_change_nothing(world):
    well = world.judged()
    snapshot = world.snapshot()
    for plant in PLANTS:
        found = judge(replace(snapshot, logs=dict.fromkeys((KEY, KEY.replace("-0", "-1")), f"starting\n{plant.text}\n")))
        told = (found.cause.name, found.target, found.action, found.facts, found.cause.confidence)
        assert told == (well.cause.name, well.target, well.action, well.facts, well.cause.confidence), plant.id


class Answers:
    """An API server that answers every log the same, or refuses."""

    def __init__(self, answer: bytes | ApiError) -> None:
        self.answer, self.asked = answer, list[Request]()

    async def send(self, request: Request) -> bytes:
        self.asked.append(request)
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer

    def lines(self, request: Request, *, idle: float) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        """Close nothing."""


async def diagnosed(answer: bytes | ApiError) -> tuple[Any, Any, Answers]:
    server = Answers(answer)
    shelf = Shelf().stocked(CRASHING)
    alert = {"fingerprint": "f", "severity": "critical", "environment": "x", "businessPriority": "P1", "namespace": NS}
    request = AnalysisRequest.model_validate({"alertContext": {**alert, "resourceKind": "Deployment", "resourceName": "checkout"}})
    collector = Collector(shelf.cluster, window_limit=T0 - T0.replace(day=1))
    asked = Diagnosis(collector, [RuleInvestigator()], ApiLogs(Client.over(server)))
    finding, snapshot = await asked.find(Question(request=request), T0)
    return finding, snapshot, server


async def test_the_api_is_asked_for_the_last_lines_of_the_instance_that_ended():
    finding, snapshot, server = await diagnosed(b"FATAL: password authentication failed for user app, password=hunter2\n")
    assert finding.cause.name == "CredentialsRejected"
    assert server.asked[0].path == f"/api/v1/namespaces/{NS}/pods/checkout-hash1-0/log"
    assert server.asked[0].query["previous"] == "true"
    assert "hunter2" not in str(snapshot.logs)


class Kept:
    """Logs that are at hand, and what was asked for, time by time."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts
        self.asked: list[set[str]] = []

    async def read(self, wanted: Sequence[Wanted]) -> Logs:
        self.asked.append({row.key for row in wanted})
        return Logs({row.key: self.texts[row.key] for row in wanted if row.key in self.texts})


async def test_a_log_that_leads_to_another_workload_has_its_logs_read_too():
    case = next(each for each in cases() if each.name == "names-fail-for-lack-of-dns")
    logs, subject = Kept(case.header["logs"]), case.header["subject"]
    shelf = Shelf().hold(case.objects)
    alert = {"fingerprint": "f", "severity": "critical", "environment": "x", "businessPriority": "P1", "namespace": subject["namespace"]}
    request = AnalysisRequest.model_validate({"alertContext": {**alert, "resourceKind": subject["kind"], "resourceName": subject["name"]}})
    asked = Diagnosis(Collector(shelf.cluster, window_limit=timedelta(days=7)), [RuleInvestigator()], logs)
    finding, _ = await asked.find(Question(request=request), datetime.fromisoformat(case.header["at"]))
    assert (finding.cause.name, finding.target.path()) == ("ConfigurationInvalid", "kube-system/deployment/coredns")
    assert [{key.partition("/")[0] for key in keys} for keys in logs.asked] == [{"shop"}, {"kube-system"}]


@pytest.mark.parametrize(("status", "unread"), [(403, (UNREAD,)), (500, (UNREAD,)), (404, ()), (400, ())])
async def test_logs_that_may_not_be_read_are_said_and_logs_that_are_not_there_are_none(status, unread):
    finding, snapshot, _ = await diagnosed(ApiError(status, "x", "no"))
    assert finding.cause.name == "ApplicationCrash"
    assert snapshot.unread == unread
    assert finding.warnings == tuple(f"{name} could not be read" for name in unread)


async def test_what_was_read_a_moment_ago_is_not_read_again():
    class Ticking:
        at = T0

        def now(self) -> datetime:
            return self.at

    server, clock = Answers(b"refused\n"), Ticking()
    recent, rows = RecentLogs(ApiLogs(Client.over(server)), clock), wanted(CRASHING.snapshot())[:1]
    for seconds, times in ((0, 1), (29, 1), (31, 2)):
        clock.at = T0 + timedelta(seconds=seconds)
        assert (await recent.read(rows)).texts == {KEY: "refused"}
        assert len(server.asked) == times


async def test_time_for_logs_is_bounded():
    class Slow(Answers):
        async def send(self, request: Request) -> bytes:
            await asyncio.Event().wait()
            return await super().send(request)

    assert (await ApiLogs(Client.over(Slow(b"")), budget=0.01).read(wanted(CRASHING.snapshot()))).unread


@pytest.mark.parametrize(
    "path",
    [
        f"logs/{NS}/checkout-hash1-0/app.log",
        f"logs/{NS}/checkout-hash1-0/app.previous.log",
        f"dump/{NS}/checkout-hash1-0/logs.txt",
        f"must-gather/img/namespaces/{NS}/pods/checkout-hash1-0/app/app/logs/previous.log",
        f"var/log/pods/{NS}_checkout-hash1-0_0a-1b/app/0.log",
    ],
)
async def test_logs_are_found_among_saved_files(tmp_path: Path, path: str):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    start, end = (f"==== {word} logs for container app of pod {NS}/checkout-hash1-0 ====" for word in ("START", "END"))
    wrapped = f"==== START logs for container x of pod {NS}/y ====\nno\n{start}\nrefused\n{end}\n"
    told = "2026-03-02T11:59:00.1Z stderr F refused\n" if path.startswith("var") else "refused\n"
    file.write_text(wrapped if file.name == "logs.txt" else told)
    [row, *_] = wanted(CRASHING.snapshot())
    assert (await FileLogs.below([tmp_path]).read([row])) == Logs({KEY: "refused"})


async def test_what_was_not_saved_is_no_log(tmp_path: Path):
    assert (await FileLogs.below([tmp_path]).read(wanted(CRASHING.snapshot()))) == Logs()


def test_names_that_do_not_resolve_lead_to_the_clusters_dns():
    shelf = Shelf().stocked(CRASHING)
    labels = {"k8s-app": "kube-dns"}
    dns = {"metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels}, "spec": {"selector": labels}}
    shelf.put(core.SERVICE, dns)
    found = shelf.collect(logs=Logs({KEY: "getaddrinfo ENOTFOUND ledger"}))
    assert [(lead.through.value, lead.host) for lead in found.leads] == [("calls", f"ledger.{NS}"), ("resolves", "")]
    assert not shelf.collect().leads
