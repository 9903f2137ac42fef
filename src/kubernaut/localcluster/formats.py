"""The name formats of Kubernetes and the sentences in which a wrong one is refused."""

import re

LABEL_MAX, SUBDOMAIN_MAX = 63, 253

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME_PART = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = rf"({_NAME_PART})?"
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    f"alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric "
    f"character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an "
    f"alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '{_LABEL_1035}')"
)
_NAME_PART_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME_PART}')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    f"alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_VALUE}')"
)
_CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
    f"(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '{_CONFIG_KEY}')"
)


def _checked(text: str, limit: int, pattern: str, sentence: str) -> list[str]:
    faults = [f"must be no more than {limit} characters"] if len(text) > limit else []
    return faults if re.fullmatch(pattern, text) else [*faults, sentence]


def subdomain(text: str) -> list[str]:
    """Say what keeps a text from being a DNS subdomain (RFC 1123)."""
    return _checked(text, SUBDOMAIN_MAX, _SUBDOMAIN, _SUBDOMAIN_TEXT)


def label(text: str) -> list[str]:
    """Say what keeps a text from being a DNS label (RFC 1123)."""
    return _checked(text, LABEL_MAX, _LABEL, _LABEL_TEXT)


def label_1035(text: str) -> list[str]:
    """Say what keeps a text from being a DNS label of the older kind (RFC 1035)."""
    return _checked(text, LABEL_MAX, _LABEL_1035, _LABEL_1035_TEXT)


def label_value(text: str) -> list[str]:
    """Say what keeps a text from being a label value."""
    return _checked(text, LABEL_MAX, _VALUE, _VALUE_TEXT)


def config_key(text: str) -> list[str]:
    """Say what keeps a text from being a key of a ConfigMap or Secret."""
    return _checked(text, SUBDOMAIN_MAX, _CONFIG_KEY, _CONFIG_KEY_TEXT)


def qualified_name(text: str) -> list[str]:
    """Say what keeps a text from being a label or annotation key: an optional DNS prefix, a slash, a name."""
    prefix, slash, name = text.rpartition("/")
    faults = [f"prefix part {fault}" for fault in _prefix(prefix)] if slash else []
    if not name:
        faults.append("name part must be non-empty")
    elif len(name) > LABEL_MAX:
        faults.append(f"name part must be no more than {LABEL_MAX} characters")
    return faults if re.fullmatch(_NAME_PART, name) else [*faults, _NAME_PART_TEXT]


def _prefix(prefix: str) -> list[str]:
    return subdomain(prefix) if prefix else ["must be non-empty"]


def path_segment(text: str) -> list[str]:
    """Say what keeps a text from being one segment of a URL path, which is all that names of RBAC objects must be."""
    if text in {".", ".."}:
        return [f"may not be '{text}'"]
    return [f"may not contain '{part}'" for part in ("/", "%") if part in text]
