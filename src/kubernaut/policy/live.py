"""The policy that holds now: read again when its ConfigMap or file changes; a broken text is told, and the last good one stays."""

import asyncio
from collections.abc import Callable, Sized
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import structlog

from kubernaut.api import core
from kubernaut.api.base import Obj, Unusable
from kubernaut.kube.events import NORMAL, WARNING
from kubernaut.kube.informer import key_of
from kubernaut.kube.manager import Manager
from kubernaut.policy import metrics
from kubernaut.policy.compiled import Policy
from kubernaut.policy.document import MAX_BYTES, BrokenPolicy, Place, Problem
from kubernaut.policy.language import Language, R
from kubernaut.policy.settings import PolicySource

SHIPPED: Final = "shipped"
"""The file name of the policy that comes with the program, in messages."""
KEPT: Final = 8
"""Compiled policies that are kept: the same text comes again whenever a stage starts again."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Readable(Protocol):
    """What can be made of a text, and hold."""

    @property
    def file(self) -> str:
        """The text's name in messages."""
        ...

    @property
    def hash(self) -> str:
        """SHA-256 of the text, in hex."""
        ...

    @property
    def rules(self) -> Sized:
        """What it consists of."""
        ...


D = TypeVar("D", bound=Readable)


class Current(Generic[D]):
    """Something that follows its text; before the first one is read, and after it was deleted, the shipped one holds.

    `make` reads a text, whose file's name is for messages; it raises BrokenPolicy.
    """

    def __init__(self, name: str, make: Callable[[str, str], D], shipped: str) -> None:
        self.name = name
        self._make = make
        self.shipped = make(shipped, SHIPPED)
        self._seen: str | None = None
        self.policy = self.shipped
        self.trouble = ""
        """What is wrong with the newest text, while an older one holds; empty when all is well."""

    def offer(self, text: str, file: str) -> bool:
        """Take a text for the policy from now on, unless it is broken; tell whether it was another than before."""
        if text == self._seen:
            return False
        self._seen = text
        try:
            self.policy = self._make(text, file)
        except BrokenPolicy as fault:
            self._reject(str(fault))
        else:
            self._accept(file, "accepted")
        return True

    def refuse(self, why: Problem) -> bool:
        """Keep the policy that holds, because its text cannot be read; tell whether that is news."""
        news = str(why) != self._seen
        self._seen = str(why)
        if news:
            self._reject(str(why))
        return news

    def withdraw(self) -> None:
        """Go back to the shipped policy."""
        self._seen, self.policy = None, self.shipped
        self._accept(SHIPPED, "withdrawn")

    def _accept(self, file: str, result: str) -> None:
        self.trouble = ""
        metrics.LOADS.labels(self.name, result).inc()
        metrics.REJECTED.labels(self.name).set(0)
        log.info("policy in force", policy=self.name, file=file, hash=self.policy.hash[:12], rules=len(self.policy.rules))

    def _reject(self, why: str) -> None:
        held = "the shipped policy holds" if self.policy is self.shipped else f"the last good one from {self.policy.file} holds"
        self.trouble = f"the {self.name} policy cannot be used, and {held}: {why}"
        metrics.LOADS.labels(self.name, "rejected").inc()
        metrics.REJECTED.labels(self.name).set(1)
        log.warning("policy rejected", policy=self.name, held=self.policy.file, fault=why[:2000])


class CurrentPolicy(Current[Policy[R]]):
    """A policy in a language that follows its text."""

    def __init__(self, language: Language[R], shipped: str) -> None:
        super().__init__(language.name, partial(_compiled, language), shipped)


@lru_cache(maxsize=KEPT)
def _compiled(language: Language[R], text: str, file: str) -> Policy[R]:
    return Policy(language, text, file)


def follow(manager: Manager, language: Language[R], shipped: str, source: PolicySource) -> CurrentPolicy[R]:
    """Return the policy of a source, which follows it while the manager runs.

    Raise Unusable when the source is a file that cannot be used: better not to start than to judge by other rules than asked for.
    """
    current = CurrentPolicy(language, shipped)
    follow_source(manager, current, source)
    return current


def follow_source(manager: Manager, current: Current[D], source: PolicySource, *, tells: bool = True) -> None:
    """Keep up with a source while the manager runs; raise Unusable when it is a file that cannot be used.

    Where several read one text, one `tells` of it by Events.
    """
    if source.file is not None:
        _follow_file(manager, current, source.file, source.file_interval.total_seconds())
    elif source.config_map:
        _Follower(manager, current, source, tells=tells).start()


def _follow_file(manager: Manager, current: Current[D], file: Path, seconds: float) -> None:
    _read(current, file)
    if current.trouble:
        raise Unusable(current.trouble)

    async def watch() -> None:
        while True:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(_read, current, file)

    manager.background(f"policy-file-{file.name}", watch)


def _read(current: Current[D], file: Path) -> None:
    try:
        with file.open(encoding="utf-8") as opened:
            current.offer(opened.read(MAX_BYTES + 1), str(file))
    except (OSError, UnicodeDecodeError) as fault:
        current.refuse(Problem(str(file), Place(1, 1), f"the file cannot be read: {fault}. Make it readable, as UTF-8"))


class _Follower(Generic[D]):
    """Follows a ConfigMap; whoever leads tells of it by Events."""

    def __init__(self, manager: Manager, current: Current[D], source: PolicySource, *, tells: bool) -> None:
        self._manager = manager
        self._tells = tells
        self._current = current
        self._source = source
        self._namespace = source.namespace or manager.namespace
        self._news: tuple[Obj, str, str, str] | None = None
        self._told = asyncio.Event()

    def start(self) -> None:
        """Hear of changes from now on."""
        self._manager.informer(core.CONFIG_MAP, namespace=self._namespace, required=False).on_change(self._changed)
        self._manager.background(f"policy-{self._source.config_map}", self._tell)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        if obj is None or key_of(obj) != (self._namespace, self._source.config_map):
            return
        if new is None:
            self._current.withdraw()
        elif self._take(new) and self._tells:
            self._report(new)

    def _take(self, obj: Obj) -> bool:
        """Read a state of the ConfigMap; tell whether its text is another than before."""
        file, key = f"configmap/{self._source.config_map}", self._source.key
        text = (obj.get("data") or {}).get(key)
        if isinstance(text, str):
            return self._current.offer(text, f"{file}/{key}")
        return self._current.refuse(Problem(file, Place(1, 1), f"there is no key {key!r} in its data. Put the policy's text there"))

    def _report(self, obj: Obj) -> None:
        trouble = self._current.trouble
        accepted = f"rules in force: {len(self._current.policy.rules)}"
        self._news = (obj, WARNING, "PolicyRejected", trouble) if trouble else (obj, NORMAL, "PolicyAccepted", accepted)
        self._told.set()

    async def _tell(self) -> None:
        """Send the newest Event; one that was overtaken before anybody led is not worth telling."""
        while True:
            await self._told.wait()
            self._told.clear()
            if self._news is not None:
                self._manager.recorder.event(*self._news)
                self._news = None
