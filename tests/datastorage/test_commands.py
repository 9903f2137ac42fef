"""The commands about the trail, as a person types them."""

import asyncio

import pytest
from typer.testing import CliRunner

from kubernaut.cli.main import app
from tests.datastorage.place import T0, answer, datastorage, event, opened

NAME = "remediation-gone"


async def typed(*words):
    """Run a command beside the server; return its exit code and what it said."""
    done = await asyncio.to_thread(CliRunner().invoke, app, [*map(str, words)], env={"COLUMNS": "200"})
    return done.exit_code, done.output


def where(http):
    return "--data-storage", str(http._base_url)


async def fill(http):
    facts = [
        event(number, correlation_id=NAME, resource_type="RemediationRequest", message=f"Pending → Step{number}: on its way")
        for number in range(1, 6)
    ]
    await answer(await http.post("/api/v1/audit/events/batch", json=facts), 201)
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
    for part in (
        f"{NAME}: failed",
        "NoWorkflow: none fits",
        f"AIAnalysis               completed    {NAME}-analysis",
        "Pending → Step5",
        "on its way",
    ):
        assert part in said
    code, said = await typed("show", "nobody", "--from-audit", *where(http))
    assert (code, "Nothing is on record about a remediation 'nobody'" in said) == (1, True)


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


async def test_a_server_in_memory_signs_nothing(clock):
    async with datastorage("sqlite+aiosqlite:///:memory:", clock) as http:
        code, said = await typed("audit", "key", *where(http))
        assert (code, "no key to sign with" in said) == (1, True)
