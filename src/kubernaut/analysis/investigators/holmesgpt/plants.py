"""Tells whether a text reads as an instruction to whoever investigates, in words that logs and manifests seldom use together. Pure."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final


def _any(*phrases: str) -> str:
    return rf"\b(?:{'|'.join(phrases)})\b"


_INVISIBLE: Final = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]")
_SET_ASIDE: Final = _any(
    "ignore", "disregard", "forget", "override", "overrule", "bypass", "discard", "drop", "set aside", "pay no attention to"
)
_WHAT_HOLDS: Final = _any(
    "instructions?",
    "rules?",
    "prompts?",
    "guidelines?",
    "guardrails?",
    "polic(?:y|ies)",
    "evidence",
    "findings?",
    "context",
    "everything",
    "above",
    "previous",
    "prior",
    "earlier",
    "safety",
    "restrictions?",
)
_NEW_ORDERS: Final = _any(
    r"(?:new|updated|real|actual|revised|further|special|following|system|admin\w*|operator'?s?) (?:instructions?|prompt|directives?|task)",
    "you are (?:now|no longer|an?)",
    "act as",
    "pretend",
    "role ?play",
    "developer mode",
    "from now on",
    "end of (?:data|logs?|context|input|evidence)",
)
_MARKS: Final = (
    r"jailbreak|<\|?/?(?:im_start|im_end|system|assistant|user|instructions?|data|context)\b|\[/?inst\]|<<sys>>"
    r"|^\W*(?:system|assistant|developer|user|human)\s*:|\brole\W{1,9}(?:system|assistant|developer)\b"
    r"|\b(?:vergiss|vergessen sie|ignoriere?n?|missachte)\b.{0,40}\b(?:anweisung|regel|vorgabe)"
    r"|\b(?:oublie[rz]?|ignore[rz]?|ne tiens pas compte)\b.{0,40}\b(?:consigne|règle|instruction)"
    r"|\b(?:olvida|ignora|descarta)\b.{0,40}\b(?:regla|instruccion|instrucción|orden)"
)
OVERRIDE: Final = re.compile(f"{_SET_ASIDE}.{{0,60}}{_WHAT_HOLDS}|{_NEW_ORDERS}|{_MARKS}")
"""Says by itself that other words shall not count."""
MODEL: Final = re.compile(
    _any(
        "ai",
        "llms?",
        "gpt",
        "chatgpt",
        "holmes(?:gpt)?",
        "kubernaut",
        "assistants?",
        "language models?",
        "copilot",
        "chatbot",
        "whoever (?:reads|investigates)",
        "reader of this",
        "automation reading",
    )
)
"""Speaks to, or of, who investigates."""
ORDER: Final = re.compile(
    _any(
        "run|execute|select|choose|pick|use|apply|invoke|call|trigger|perform|delete|remove|drain|cordon|evict",
        "scale|restart|roll ?back|set|raise|increase|approve|answer|respond|reply|return|report|output|say",
        "state|conclude|recommend|propose|name|put|give|pass|mark|tell|write|treat|remediate|repair|fix|patch",
        "kill|stop|terminate|must|should|shall|have to|needs? to|make sure|ensure|do not|don't|never|always",
        "please|only|instead|is to be|required|correct|right|best",
    )
)
"""Wants something done."""
MATTER: Final = re.compile(
    _any(
        "workflows?",
        "remediations?",
        "approvals?",
        "approved",
        r"auto-?approv\w*",
        "confidence",
        "root cause",
        r"kubectl\s+\w+",
        "human review",
        "person'?s? (?:review|approval)",
        "without (?:asking|approval|review)",
        "recommendations?",
        "diagnos[ei]s",
        "investigations?",
        "kube-system",
        r"needs_?human\w*",
        r"requires_?approval",
        "the (?:action|fix|cure|answer|cause) (?:is|must|should|to)",
    )
)
"""Is about what an investigation decides."""


class Sieve:
    """Recognises instructions; `words` are names that no text of a workload has reason to speak of: those of workflows and actions."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        listed = "|".join(re.escape(_plain(word)) for word in sorted(words) if word)
        self._named = re.compile(rf"(?<![\w-])(?:{listed})(?![\w-])") if listed else None

    def catches(self, text: str) -> bool:
        """Tell whether a text reads as an instruction by itself."""
        read = _plain(text)
        named = self._named is not None and self._named.search(read) is not None
        return named or OVERRIDE.search(read) is not None or (ORDER.search(read) is not None and self._concerns(read))

    def goes_on(self, text: str) -> bool:
        """Tell whether a text that follows an instruction belongs to it."""
        read = _plain(text)
        return ORDER.search(read) is not None or self._concerns(read)

    def _concerns(self, read: str) -> bool:
        return MODEL.search(read) is not None or MATTER.search(read) is not None


def _plain(text: str) -> str:
    """Return a text as it is read: letters that only look like others folded, what cannot be seen left out."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
