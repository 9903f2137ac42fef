"""An export checked without a server: whole as it is, and every way to tamper with it found and named."""

import base64
import io
import json
from datetime import timedelta
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.datastorage.chain import Head, Signer, body, canonical, checkpoint_holds, link, opening
from kubernaut.datastorage.export import Selection, export
from kubernaut.datastorage.trail import chained
from kubernaut.datastorage.verify import Broken, verify
from tests.datastorage.place import T0, datastorage, fact, opened

MANY = 100_000
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
START = "f" * 64


def made(count, every=1000):
    """Return an export's lines as data storage writes them, without one."""
    events = [fact(number, message=f"fact {number}") for number in range(1, count + 1)]
    head = Head(T0.date(), 0, opening(T0.date(), START), START)
    rows, end = chained(head, events, T0)
    lines, hashes = [], [head.hash]
    for row in rows:
        told = {name: row[name] for name in row if name not in {"chain_day", "position", "stored_at", "event_hash"}}
        place = {"day": row["chain_day"], "position": row["position"], "stored_at": row["stored_at"]}
        lines.append(canonical({**place, "event": told, "previous": hashes[-1], "hash": row["event_hash"]}) + b"\n")
        hashes.append(row["event_hash"])
    checkpoints = [SIGNER.checkpoint(Head(T0.date(), place, hashes[place], START), T0) for place in range(every, count + 1, every)]
    return [header(SIGNER, count, hashes[1:], checkpoints, end), *lines]


def header(signer, count, hashes, checkpoints, end):
    manifest = {
        "format": "kubernaut-audit/1",
        "algorithm": "sha256",
        "made_at": T0,
        "selection": Selection().told(),
        "count": count,
        "digest": sha256("".join(hashes).encode()).hexdigest(),
        "ranges": [{"day": T0.date(), "first": 1, "last": count}],
        "days": [{"day": end.day, "records": end.position, "follows": end.follows, "hash": end.hash}],
        "checkpoints": checkpoints,
        "public_key": signer.public,
        "key_id": signer.key_id,
    }
    return canonical({"manifest": manifest, "signature": signer.sign(manifest)}) + b"\n"


@pytest.fixture(scope="module")
def large():
    return made(MANY)


@pytest.fixture(scope="module")
def small():
    return made(60, every=10)


def flipped(line, at, bit=1):
    return line[:at] + bytes([line[at] ^ bit]) + line[at + 1 :]


def rewritten(lines, place):
    """Change a record and put everything after it in order again, as somebody does who knows how but has no key."""
    told = [json.loads(line) for line in lines[1:]]
    told[place - 1]["event"]["message"] = "another story"
    previous = told[0]["previous"]
    for each in told:
        each["previous"] = previous
        previous = each["hash"] = link(previous, body(each["day"], each["position"], each["stored_at"], each["event"]))
    return [lines[0], *(canonical(each) + b"\n" for each in told)]


def test_a_large_export_is_whole(large):
    found = verify(large, key=SIGNER.public)
    assert (found.count, found.first, found.last, found.compared) == (MANY, "2026-01-01/1", f"2026-01-01/{MANY}", True)


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        pytest.param(
            lambda lines: [*lines[:70_123], flipped(lines[70_123], 200), *lines[70_124:]],
            r"line 70124: record 2026-01-01/70123 .*was changed",
            id="one flipped byte",
        ),
        pytest.param(
            lambda lines: [*lines[:50_000], *lines[50_001:]],
            r"line 50001: record 2026-01-01/50000 is missing; record 2026-01-01/50001 stands in its place",
            id="one dropped row",
        ),
        pytest.param(
            lambda lines: [*lines[:4_000], lines[90_000], *lines[4_001:90_000], lines[4_000], *lines[90_001:]],
            r"line 4001: record 2026-01-01/4000 was moved to line 90001; record 2026-01-01/90000 stands in its place",
            id="two swapped rows",
        ),
        pytest.param(
            lambda lines: lines[:99_001],
            r"tail was cut off; record 2026-01-01/99001 and all after it are missing \(99000 of 100000\)",
            id="a truncated tail",
        ),
        pytest.param(
            lambda lines: [*lines[:-1], lines[-1][:100]],
            r"line 100001: the file ends within record 2026-01-01/100000: its tail was cut off",
            id="a last line cut short",
        ),
    ],
)
def test_one_fault_among_a_hundred_thousand_records_is_found_and_named(large, tamper, says):
    with pytest.raises(Broken, match=says):
        verify(tamper(large), key=SIGNER.public)


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        pytest.param(lambda lines: [*lines, lines[-1]], "line 62: the manifest names 60 records, and here is one more", id="an added row"),
        pytest.param(
            lambda lines: [*lines[:31], lines[30], *lines[31:]], "record 2026-01-01/30 stands here a second time", id="a row given twice"
        ),
        pytest.param(lambda lines: lines[1:], "line 1: there is no manifest", id="no manifest"),
        pytest.param(lambda lines: [], "line 1: there is no manifest", id="an empty file"),
        pytest.param(lambda lines: [flipped(lines[0], 40), *lines[1:]], "line 1: the manifest was changed", id="a changed manifest"),
        pytest.param(
            lambda lines: rewritten(lines, 34),
            "line 41: records after record 2026-01-01/30 up to 2026-01-01/40 were rewritten",
            id="a chain made anew",
        ),
        pytest.param(lambda lines: [lines[0]], "ends before the first record", id="nothing but the manifest"),
    ],
)
def test_faults_of_a_small_export_are_named(small, tamper, says):
    with pytest.raises(Broken, match=says):
        verify(tamper(small))


@given(data=st.data())
def test_no_changed_byte_goes_unnoticed(small, data):
    number = data.draw(st.integers(0, len(small) - 1))
    at = data.draw(st.integers(0, len(small[number]) - 1))
    changed = [*small[:number], flipped(small[number], at, data.draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]))), *small[number + 1 :]]
    with pytest.raises(Broken, match=r"^line ([0-9]+)|^the file ends"):
        verify(io.BytesIO(b"".join(changed)))


@given(st.permutations(range(1, 9)))
def test_no_order_but_the_right_one_is_taken(order):
    lines = made(8)
    if [*order] == sorted(order):
        assert verify(lines).count == 8
        return
    with pytest.raises(Broken, match=r"was moved|stands here a second time"):
        verify([lines[0], *(lines[place] for place in order)])


def test_an_export_signed_by_somebody_else_is_not_taken_for_ours(small):
    with pytest.raises(Broken, match=f"signed with the key {SIGNER.key_id}, not with yours \\({OTHER.key_id}\\)"):
        verify(small, key=OTHER.public)


def test_a_checkpoint_holds_for_its_key_and_its_words_alone():
    checkpoint = SIGNER.checkpoint(Head(T0.date(), 5, "a" * 64, START), T0)
    assert checkpoint_holds(checkpoint, SIGNER.public)
    assert not checkpoint_holds(checkpoint, OTHER.public)
    assert not checkpoint_holds({**checkpoint, "position": 6}, SIGNER.public)
    assert not checkpoint_holds({**checkpoint, "signature": "no base64"}, SIGNER.public)
    assert not checkpoint_holds(checkpoint, base64.b64encode(b"short").decode())


def public_of(store):
    assert store.signer is not None
    return store.signer.public


async def exported(store, selection):
    return io.BytesIO(b"".join([piece async for piece in export(store, selection)])).readlines()


async def test_what_a_database_gives_out_is_whole_over_several_days_and_for_one_case(database, key, clock):
    async with opened(database, clock, signing_key=key, checkpoint_every=7) as store:
        for day in range(3):
            await store.add_events([fact(20 * day + number, correlation_id=f"case-{number % 3}") for number in range(20)])
            clock.now += timedelta(days=1)
        everything = await exported(store, Selection())
        assert verify(everything, key=public_of(store)).count == 60
        assert [each["day"] for each in json.loads(everything[0])["manifest"]["days"]] == ["2026-01-01", "2026-01-02", "2026-01-03"]
        second = await exported(store, Selection(first=T0.date() + timedelta(days=1), last=T0.date() + timedelta(days=1)))
        assert (verify(second).count, verify(second).first) == (20, "2026-01-02/1")
        case = await exported(store, Selection(correlation_id="case-1"))
        assert verify(case).count == 21
        with pytest.raises(Broken, match="record 2026-01-01/5 is missing"):
            verify([*case[:2], *case[3:]])
        assert verify(await exported(store, Selection(correlation_id="nobody"))).count == 0


async def test_a_record_changed_in_the_database_itself_is_found_by_its_export(tmp_path, clock):
    database = f"sqlite+aiosqlite:///{tmp_path}/audit.db"
    async with opened(database, clock) as store:
        await store.add_events([fact(number) for number in range(10)])
        async with store.database.writing() as connection:
            await connection.exec_driver_sql("DROP TRIGGER audit_events_no_update")
            await connection.exec_driver_sql("UPDATE audit_events SET actor_id = 'nobody' WHERE position = 4")
        with pytest.raises(Broken, match=r"line 5: record 2026-01-01/4 .*was changed"):
            verify(await exported(store, Selection()))


async def test_without_a_key_nothing_is_signed_and_nothing_handed_out(server, clock):
    async with datastorage(server.database(), clock) as http:
        for path in ("/api/v1/audit/export", "/api/v1/audit/key"):
            async with http.get(path) as answer:
                assert answer.status == 409
                assert "set datastorage.signing_key" in (await answer.json(content_type=None))["detail"]
