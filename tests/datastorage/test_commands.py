"""The commands about the trail, as a person types them."""

import asyncio
from datetime import timedelta

import pytest
import yaml
from typer.testing import CliRunner

from kubernaut.cli.main import app
from kubernaut.cli.storage import data_storage
from kubernaut.service import Access, AccessSettings
from tests.datastorage.place import T0, answer, datastorage, event, opened, served

NAME, TARGET = "remediation-gone", "shop/deployment/payment"


async def typed(*words, **env):
    """Run a command beside the server; return its exit code and what it said."""
    nobody = {"KUBECONFIG": "/nowhere", "KUBERNAUT_TOKEN": "", "HOME": "/nowhere"}
    done = await asyncio.to_thread(CliRunner().invoke, app, [*map(str, words)], env={"COLUMNS": "200", **nobody, **env})
    return done.exit_code, done.output


def where(http):
    return "--data-storage", str(http._base_url)


async def fill(http):
    facts = [
        event(number, correlation_id=NAME, resource_type="RemediationRequest", target=TARGET, message=f"Pending → Step{number}: on its way")
        for number in range(1, 6)
    ]
    await answer(await http.post("/api/v1/audit/events/batch", json=facts), 201)
    run = {"workflowExecutionId": f"{NAME}-wfe", "workflowId": "raise-memory", "targetResource": TARGET, "correlationId": NAME}
    for number, (what, more) in enumerate({"Running": {}, "Failed": {"failureReason": "TaskFailed", "failureMessage": "step 2"}}.items()):
        told = {"eventType": f"workflow.{what}", "phase": what, "timestamp": (T0 + timedelta(seconds=number)).isoformat()}
        await answer(await http.post("/api/v1/audit/workflow", json=run | told | more), 201)
    child = {"serviceType": "AIAnalysis", "crdName": f"{NAME}-analysis", "phase": "completed", "startTime": T0.isoformat()}
    record = {
        "alertFingerprint": "f" * 64,
        "remediationName": NAME,
        "overallPhase": "failed",
        "startTime": T0.isoformat(),
        "serviceCrdStatuses": [child],
    }
    await answer(await http.post("/api/v1/audit/remediation", json={**record, "failureReason": "NoWorkflow: none fits"}), 201)


async def test_an_export_is_written_once_and_verifies_without_the_server(http, tmp_path):
    file = tmp_path / "trail.jsonl"
    await fill(http)
    code, key = await typed("audit", "key", *where(http))
    assert code == 0
    code, said = await typed("audit", "export", file, *where(http))
    assert code == 0, said
    assert "whole: 5 records, 2026-01-01/1 to 2026-01-01/5" in said
    assert not (tmp_path / "trail.jsonl.part").exists()
    code, said = await typed("audit", "export", file, *where(http))
    assert (code, "nothing is overwritten" in said) == (2, True)
    code, said = await typed("audit", "verify", file, "--key", key.strip())
    assert (code, "signed by the key you gave" in said) == (0, True)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    code, said = await typed("audit", "verify", file)
    assert (code, "record 2026-01-01/2 is missing" in said) == (1, True)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        pytest.param(["--case", "nobody"], 0, id="a case without records"),
        pytest.param(["--since", "2026-01-01", "--until", "2026-01-01"], 5, id="a day"),
        pytest.param(["--since", "2026-01-02"], 0, id="days to come"),
    ],
)
async def test_an_export_may_be_of_days_or_of_a_case(http, tmp_path, options, count):
    await fill(http)
    code, said = await typed("audit", "export", tmp_path / "part.jsonl", *options, *where(http))
    assert (code, f"whole: {count} records" in said) == (0, True), said


async def test_what_data_storage_says_against_an_export_is_told(http, tmp_path):
    code, said = await typed("audit", "export", tmp_path / "no.jsonl", "--since", "yesterday", *where(http))
    assert (code, "first_day" in said) == (1, True)
    assert [*tmp_path.glob("no*")] == []


async def test_a_remediation_that_is_gone_is_shown_from_the_trail(http):
    await fill(http)
    code, said = await typed("show", NAME, "--from-audit", *where(http))
    assert code == 0, said
    assert said.splitlines() == GONE
    code, said = await typed("show", "nobody", "--from-audit", *where(http))
    assert (code, "Nothing is on record about a remediation 'nobody'" in said) == (1, True)


GONE = [
    f"{NAME}: failed, from the audit trail",
    "",
    "  target       shop/deployment/payment",
    "  started      2026-01-01 00:00:00 UTC",
    "  failed       NoWorkflow: none fits",
    f"  fingerprint  {'f' * 64}",
    "",
    "  objects",
    f"    AIAnalysis               completed    {NAME}-analysis",
    "",
    "  fixes",
    "    Failed       raise-memory on shop/deployment/payment: TaskFailed: step 2",
    "",
    "  what happened",
    *(
        f"    2026-01-01 00:00:0{number}  +{number - 1}.0s  RemediationRequest  Pending → Step{number}  on its way"
        for number in range(1, 6)
    ),
]


async def test_a_file_that_is_not_there_or_no_export_is_told(tmp_path):
    code, said = await typed("audit", "verify", tmp_path / "none")
    assert (code, "No such file" in said) == (1, True)
    (tmp_path / "other").write_text("hello\n")
    code, said = await typed("audit", "verify", tmp_path / "other")
    assert (code, "no export of the audit trail" in said) == (1, True)


async def test_the_schema_is_brought_up_to_date_by_a_command(database, tmp_path):
    config = tmp_path / "settings.yaml"
    config.write_text(f"datastorage: {{database: '{database}', migrate: false}}\n")
    assert await typed("migrate", "--config", config) == (0, "the audit database is up to date\n")
    async with opened(database, migrate=False) as store:
        await store.ping()


async def test_timeline_still_reads_the_trail(http):
    await fill(http)
    code, said = await typed("timeline", NAME, *where(http))
    assert (code, "Pending → Step5" in said) == (0, True), said


COMMANDS = {
    "timeline": ("timeline", NAME),
    "show": ("show", NAME, "--from-audit"),
    "key": ("audit", "key"),
    "export": ("audit", "export", "{folder}/trail.jsonl"),
}


async def known(token):
    return ("auditor", True) if token == "s3cret" else ("", False)


@pytest.fixture
async def guarded(clock, tmp_path):
    """Give a session to a data storage that asks for a token, and that has it."""
    guard = Access(known, AccessSettings(enabled=True))
    async with opened(f"sqlite+aiosqlite:///{tmp_path}/audit.db", clock) as store, served(store, (guard,)) as http:
        http.headers["Authorization"] = "Bearer s3cret"
        await fill(http)
        yield http


def kubeconfig(folder, token):
    """Write a kubeconfig with a token; return its path."""
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "me", "user": {"token": token}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(content))
    return folder / "kubeconfig"


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_token_that_is_asked_for_comes_from_the_kubeconfig(guarded, tmp_path, command):
    words = [word.format(folder=tmp_path) for word in COMMANDS[command]]
    code, said = await typed(*words, *where(guarded))
    assert (code, "give --token-file FILE, made by kubectl create token NAME" in said) == (1, True), said
    code, said = await typed(*words, "--kubeconfig", kubeconfig(tmp_path, "s3cret"), *where(guarded))
    assert code == 0, said


async def test_a_token_comes_from_where_the_caller_says_before_the_kubeconfig(guarded, tmp_path):
    other, file = kubeconfig(tmp_path, "stale"), tmp_path / "token"
    file.write_text("s3cret\n")
    for options, env in (
        (["--token", "s3cret"], {}),
        ([], {"KUBERNAUT_TOKEN": "s3cret"}),
        (["--token-file", file], {}),
        ([], {"KUBERNAUT_SERVICES__TOKEN_FILE": str(file)}),
    ):
        code, said = await typed("timeline", NAME, *options, *where(guarded), KUBECONFIG=str(other), **env)
        assert code == 0, said
    code, said = await typed("timeline", NAME, *where(guarded), KUBECONFIG=str(other))
    assert (code, "does not know this bearer token" in said, "another one: --token-file FILE" in said) == (1, True, True)


async def test_the_kubeconfigs_token_is_shown_to_nobody_whom_others_could_overhear(tmp_path):
    file = kubeconfig(tmp_path, "s3cret")
    for url, shown in (
        ("http://127.0.0.1:8085", True),
        ("http://[::1]:8085", True),
        ("http://localhost:8085", True),
        ("https://data-storage.example", True),
        ("http://data-storage.example:8085", False),
        ("http://10.0.0.7:8085", False),
    ):
        assert bool((await data_storage(url, kubeconfig=file)).authorization) == shown, url
        assert (await data_storage(url, token="given")).authorization == "Bearer given"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--data-storage", "localhost:8085"], "is no URL: write it like http://127.0.0.1:8085", id="no URL"),
        pytest.param(["--data-storage", "http://127.0.0.1:9"], "does not answer: 127.0.0.1:9: Connection refused", id="nobody there"),
        pytest.param(["--token-file", "/nowhere/token", "--data-storage", "http://127.0.0.1:9"], "cannot be read", id="no such file"),
        pytest.param(
            ["--kubeconfig", "/nowhere/kubeconfig", "--data-storage", "http://127.0.0.1:9"],
            "cannot be read: No such file",
            id="no kubeconfig",
        ),
    ],
)
async def test_why_data_storage_cannot_be_asked_is_told_in_a_line(options, says):
    code, said = await typed("timeline", NAME, *options)
    assert (code, says in said, said.count("\n")) == (1, True, 1), said


async def test_a_server_in_memory_signs_nothing(clock):
    async with datastorage("sqlite+aiosqlite:///:memory:", clock) as http:
        code, said = await typed("audit", "key", *where(http))
        assert (code, "no key to sign with" in said) == (1, True)
