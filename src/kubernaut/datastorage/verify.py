"""Checks an exported trail by itself: no server, no database. Names the first record that is not what the signed manifest says."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import chain as joined
from typing import Any, Final, NamedTuple

import orjson

from kubernaut.api.base import Unusable
from kubernaut.datastorage.chain import canonical, checkpoint_holds, key_id, link, opening, signed

FORMAT: Final = "kubernaut-audit/1"
FIELDS: Final = {"day", "position", "stored_at", "event", "previous", "hash"}
HEX: Final = 64


class Broken(Unusable):
    """The file is not what was exported; the message names the first fault."""


class Place(NamedTuple):
    """A record's day and its place in that day's chain."""

    day: str
    position: int

    def __str__(self) -> str:
        """Say it for a person."""
        return f"{self.day}/{self.position}"


@dataclass(frozen=True, slots=True)
class Verified:
    """A file that is whole."""

    count: int
    first: str
    last: str
    key_id: str
    made_at: str
    compared: bool
    """Whether the key that signed it was compared with one the reader trusts."""


@dataclass(frozen=True, slots=True)
class _Record:
    place: Place
    previous: str
    hash: str
    content: bytes
    event_id: str


def verify(lines: Iterable[bytes], *, key: str = "") -> Verified:
    """Check a file's lines, each with its line end, against its manifest, and that against a public key (base64) where one is given."""
    numbered = enumerate(lines, 1)
    manifest = _manifest(next(numbered, (1, b""))[1], key)
    check = _Check(manifest)
    for number, line in numbered:
        check.line(number, line, numbered)
    check.end()
    ranges = manifest["ranges"]
    first = str(Place(ranges[0]["day"], ranges[0]["first"])) if ranges else ""
    last = str(Place(ranges[-1]["day"], ranges[-1]["last"])) if ranges else ""
    return Verified(check.count, first, last, manifest["key_id"], manifest["made_at"], bool(key))


def _manifest(line: bytes, key: str) -> dict[str, Any]:
    """Return the manifest of the first line, whose signature holds."""
    try:
        head = orjson.loads(line)
        manifest, signature = dict(head["manifest"]), str(head["signature"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise Broken("line 1: there is no manifest; this is no export of the audit trail, or its first line was changed") from error
    public = str(manifest.get("public_key", ""))
    if not signed(manifest, signature, public) or canonical(head) != line.rstrip(b"\n"):
        raise Broken("line 1: the manifest was changed: its signature does not hold")
    if key and key != public:
        raise Broken(f"line 1: the manifest is signed with the key {key_id(public)}, not with yours ({key_id(key)})")
    if manifest.get("format") != FORMAT:
        raise Broken(f"line 1: the format {str(manifest.get('format'))[:64]!r} is not known here; a later kubernaut may know it")
    return manifest


class _Check:
    """What was seen so far of a file, line by line."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._manifest = manifest
        self._expected = _places(manifest["ranges"])
        self._openings = {each["day"]: opening(date.fromisoformat(each["day"]), each["follows"]) for each in manifest["days"]}
        self._ends = {Place(each["day"], each["records"]): each["hash"] for each in manifest["days"]}
        public = manifest["public_key"]
        self._signed = {
            Place(each["day"], each["position"]): each["hash"] for each in manifest["checkpoints"] if checkpoint_holds(each, public)
        }
        self._digest = sha256()
        self._last: _Record | None = None
        self._trusted = "the beginning"
        self.count = 0

    def line(self, number: int, line: bytes, rest: Iterable[tuple[int, bytes]]) -> None:
        """Check one line; `rest` is looked through for a record that is not where it belongs."""
        wanted = next(self._expected, None)
        if wanted is None:
            raise Broken(f"line {number}: the manifest names {self.count} records, and here is one more")
        if not line.endswith(b"\n"):
            raise Broken(f"line {number}: the file ends within record {wanted}: its tail was cut off")
        record = _record(line)
        if record is None or link(record.previous, record.content) != record.hash:
            raise Broken(f"line {number}: record {_named(record, wanted)} was changed: its content does not give its hash")
        if record.place != wanted:
            raise Broken(self._misplaced(number, record, wanted, rest))
        self._follows(number, record)
        self._digest.update(record.hash.encode())
        self._last, self.count = record, self.count + 1

    def end(self) -> None:
        """Check that nothing is missing at the end, and that all of it is what was signed."""
        if (wanted := next(self._expected, None)) is not None:
            total = self._manifest["count"]
            last = f"after record {self._last.place}" if self._last else "before the first record"
            raise Broken(
                f"the file ends {last}: its tail was cut off; record {wanted} and all after it are missing ({self.count} of {total})"
            )
        if self._digest.hexdigest() != self._manifest["digest"]:
            raise Broken(f"records after {self._trusted} were rewritten: they fit each other, but not the signed manifest")

    def _misplaced(self, number: int, record: _Record, wanted: Place, rest: Iterable[tuple[int, bytes]]) -> str:
        if self._last is not None and record.place <= self._last.place:
            return f"line {number}: record {record.place} stands here a second time; record {wanted} belongs here"
        for later, line in rest:
            found = _record(line)
            if found is not None and found.place == wanted:
                return f"line {number}: record {wanted} was moved to line {later}; record {record.place} stands in its place"
        return f"line {number}: record {wanted} is missing; record {record.place} stands in its place"

    def _follows(self, number: int, record: _Record) -> None:
        """Check that a record follows the one before it in its chain, and agrees with what was signed of it."""
        before, place = self._last, record.place
        known = self._openings.get(place.day) if place.position == 1 else None
        if before is not None and before.place == Place(place.day, place.position - 1):
            known = before.hash
        if known is not None and record.previous != known:
            raise Broken(f"line {number}: record {place} was replaced: it does not follow the record before it")
        for told in (self._signed, self._ends):
            if told.get(place, record.hash) != record.hash:
                raise Broken(f"line {number}: records after {self._trusted} up to {place} were rewritten: they are not what was signed")
        if place in self._signed:
            self._trusted = f"record {place}"


def _places(ranges: Iterable[Mapping[str, Any]]) -> Iterator[Place]:
    return joined.from_iterable((Place(run["day"], position) for position in range(run["first"], run["last"] + 1)) for run in ranges)


def _record(line: bytes) -> _Record | None:
    """Read a line, or nothing where it is not byte for byte what an export writes."""
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(told, dict) or set(told) != FIELDS or canonical(told) + b"\n" != line:
        return None
    hashes, event = (told["previous"], told["hash"]), told["event"]
    if not isinstance(event, dict) or not all(isinstance(each, str) and _is_hash(each) for each in hashes):
        return None
    if not isinstance(told["day"], str) or type(told["position"]) is not int:
        return None
    content = canonical({name: told[name] for name in ("day", "position", "stored_at", "event")})
    return _Record(Place(told["day"], told["position"]), told["previous"], told["hash"], content, str(event.get("event_id", "")))


def _is_hash(text: str) -> bool:
    return len(text) == HEX and set(text) <= set("0123456789abcdef")


def _named(record: _Record | None, wanted: Place) -> str:
    return f"{wanted} (event {record.event_id})" if record is not None and record.event_id else str(wanted)
