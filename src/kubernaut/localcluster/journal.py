"""The log of revisions on disk: one SQLite row a write, in WAL mode. The store replays it at start and appends to it."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS revisions (
    revision INTEGER PRIMARY KEY, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    type TEXT NOT NULL, data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS revisions_by_name ON revisions (resource, namespace, name, revision);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, revision INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""

# A row is history once a later row of the same object is at or under the mark; deletions there are history at once.
_COMPACT = """
DELETE FROM revisions WHERE revision <= :mark AND (type = 'DELETED' OR EXISTS (
    SELECT 1 FROM revisions AS later WHERE later.resource = revisions.resource AND later.namespace = revisions.namespace
    AND later.name = revisions.name AND later.revision > revisions.revision AND later.revision <= :mark
))
"""


class Row(NamedTuple):
    """One write: `type` is ADDED, MODIFIED or DELETED, `data` the object as JSON."""

    revision: int
    resource: str
    namespace: str
    name: str
    type: str
    data: bytes


class Journal:
    """Rows survive the death of the process once `append` has returned; one process has the file at a time."""

    def __init__(self, path: str) -> None:
        """Open or make the file; raise sqlite3.OperationalError where another process has it."""
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)
        # exclusive: two servers over one file would each count revisions on their own
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        # in WAL mode a commit is in the page cache of the kernel before it returns: it outlives the process, fsync would be for power cuts
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        # takes the lock now, not at the first write
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("COMMIT")

    def rows(self) -> Iterator[Row]:
        """Yield all rows, oldest first."""
        for row in self._db.execute("SELECT revision, resource, namespace, name, type, data FROM revisions ORDER BY revision"):
            yield Row(*row)

    def mark(self, name: str) -> int:
        """Return a mark, 0 where it was never set."""
        row = self._db.execute("SELECT revision FROM marks WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return a secret of the cluster's own, made at first use."""
        row = self._db.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
        if row is None:
            row = (make(),)
            self._db.execute("INSERT INTO secrets VALUES (?, ?)", (name, row[0]))
        return bytes(row[0])

    def append(self, row: Row) -> None:
        """Write one row."""
        self._db.execute("INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?)", row)

    def compact(self, mark: int, revision: int) -> None:
        """Forget what happened up to a revision, keeping the objects; remember the counter in case its last rows go."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(_COMPACT, {"mark": mark})
        self._db.executemany("INSERT OR REPLACE INTO marks VALUES (?, ?)", [("compacted", mark), ("revision", revision)])
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
