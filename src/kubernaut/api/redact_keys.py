"""Which names promise a secret: `DB_PASSWORD` does, `secretName` and `tokensUsed` do not. Used by `redact`; pure."""

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final

LONGEST: Final = 256
"""Of a longer name only the end is looked at."""
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_INSIDE: Final = ("password", "passwd", "passphrase", "passwort", "kennwort")
_ENDINGS: Final = ("secret", "token", "apikey", "accesskey", "secretkey", "privatekey", "privkey", "credential", "authorization", "pwd")
_WHOLE: Final = frozenset({"secrets", "tokens", "credentials", "cookie", "creds", "dockerconfigjson", "dockercfg", "auths"})
_KEYS_OF: Final = frozenset(
    {"api", "access", "secret", "private", "account", "client", "tls", "signing", "encryption", "master", "shared", "ssh"}
)
_POINTERS: Final = re.compile(
    r"name|names|namespace|ref|refs|reference|path|paths|file|files|dir|url|uri|endpoint|seconds|ttl|expiry|expires|"
    r"expiration|expired|age|count|type|kind|policy|length|limit|limits|size|mount|mounts|mounted|mode|provider|"
    r"store|bucket|class|manager|controller|operator|review|rotation|optional|version|audience|audiences|missing|"
    r"error|errors|used|status|template|generator|window|budget|rate"
)
"""A name that ends so tells of a secret without being one."""


@lru_cache(maxsize=4096)
def _judged(name: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(name.rpartition("/")[2])]
    if not words or (len(words) > 1 and _POINTERS.fullmatch(words[-1])):
        return False
    pairs = any(first in _KEYS_OF and second in {"key", "keys"} for first, second in pairwise(words))
    if pairs or (len(words) > 1 and words[-1] == "pass"):
        return True
    return any(word in _WHOLE or word.endswith(_ENDINGS) or any(part in word for part in _INSIDE) for word in words)


def is_secret_name(name: str) -> bool:
    """Tell whether what stands under a name is a secret, whatever it looks like."""
    return _judged(name[-LONGEST:])


def is_pointer(name: str) -> bool:
    """Tell whether a name below a secret's only says where it is: the `secretName` of a volume, the `key` of a reference."""
    words = _WORDS.findall(name[-LONGEST:])
    return name in {"key", "items", "defaultMode"} or (bool(words) and _POINTERS.fullmatch(words[-1].lower()) is not None)


def is_many(name: str) -> bool:
    """Tell whether a name counts secrets as often as it lists them: `tokens: 512`, a quota's `secrets: 10`."""
    words = _WORDS.findall(name[-LONGEST:])
    return bool(words) and words[-1].lower() in {"tokens", "secrets", "credentials"}
