"""Takes secrets out of text before it leaves: messages, logs, audit records. Keeps the key, so that people see what stood there."""

import re
from typing import Any

HIDDEN = "***REDACTED***"
_KEYS = r"(?:password|passwd|pwd|secret|api[_-]?key|apikey|access[_-]?key|token|authorization|credential|private[_-]?key)"
_RULES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "private-key",
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        HIDDEN,
    ),
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), HIDDEN),
    ("authorization-header", re.compile(r"(?i)(authorization\s*[:=]\s*)(?:(bearer|basic|token)\s+)?[^\s,;\"']+"), rf"\g<1>{HIDDEN}"),
    ("bearer-token", re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\g<1>{HIDDEN}"),
    ("url-password", re.compile(r"([a-z][a-z0-9+.-]{0,30}://[^\s:/@]*:)[^\s@/]+(@)"), rf"\g<1>{HIDDEN}\g<2>"),
    ("github-token", re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}"), HIDDEN),
    ("openai-key", re.compile(r"\bsk-[A-Za-z0-9_-]{16,}"), HIDDEN),
    ("slack-token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"), HIDDEN),
    ("aws-access-key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), HIDDEN),
    ("key-json", re.compile(rf"(?i)({_KEYS}[\w.-]{{0,64}}\"\s*:\s*\")(?:[^\"\\]|\\.)*(\")"), rf"\g<1>{HIDDEN}\g<2>"),
    ("key-plain", re.compile(rf"(?i)({_KEYS}[\w.-]{{0,64}}\s*[=:]\s*)(?!\*\*\*)(?:'[^']*'|\"[^\"]*\"|[^\s,;&}}]+)"), rf"\g<1>{HIDDEN}"),
)
_SECRET_KEY = re.compile(rf"(?i){_KEYS}")


def redact(text: str) -> str:
    """Return a text without secrets."""
    for _, pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redact_value(value: Any, *, key: str = "") -> Any:
    """Return decoded JSON without secrets: texts are searched, and whatever stands under a secret's name is hidden."""
    if isinstance(value, dict):
        return {name: redact_value(item, key=str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [redact_value(item, key=key) for item in value]
    if isinstance(value, str):
        return HIDDEN if value and _SECRET_KEY.search(key) else redact(value)
    return value
