"""What a name says of its value: whether it is a key, is sent along, or is an address."""

from __future__ import annotations

import re
from functools import lru_cache

_KEYS = re.compile(
    r"(?:access|api|auth|private|secret|subscription|functions)_?key"
    r"|authorization|cookie|credential|passphrase|passw(?:or)?d|secret|signature"
)
_KEY_WORDS = frozenset({"auth", "bearer", "jwt", "pwd", "sig"})
# Tokens of a tokenizer or of a list in pages, and keys of a mapping, are no secrets.
_OF_TOKENIZERS = frozenset(
    ("bos", "cls", "eos", "mask", "next", "pad", "page", "sep", "special", "start", "stop", "unk")
)
_OF_MAPPINGS = frozenset(
    (
        *("cache", "image", "index", "input", "memory", "messages", "metadata", "output"),
        *("primary", "public", "sort", "text"),
    )
)
_SENT_ALONG = re.compile(r"header|cookie|(?:^|_)query(?:_param\w*)?$")
_ADDRESS = re.compile(r"ur[li]|base|proxy|proxies|endpoint|host|address|dsn")


@lru_cache(maxsize=2048)
def names_key(name: str) -> bool:
    """Whether an attribute, a header or a parameter of this name holds a key or a password."""
    words = _words(name)
    if _KEYS.search("_".join(words)):
        return True
    before, last = ["", "", *words][-2:]
    if last.endswith("token"):
        return before not in _OF_TOKENIZERS
    return last in _KEY_WORDS or (last == "key" and before not in _OF_MAPPINGS)


@lru_cache(maxsize=2048)
def is_sent_along(name: str) -> bool:
    """Whether what has this name goes along with each request: headers, cookies, parameters.

    Under which names it does is the server's affair, so all of it is taken for secret.
    """
    return _SENT_ALONG.search("_".join(_words(name))) is not None


@lru_cache(maxsize=2048)
def is_address(name: str) -> bool:
    """Whether what has this name is an address, which may hold a user and a password."""
    return _ADDRESS.search(name.lower()) is not None


def _words(name: str) -> list[str]:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\s.-]+", "_", name).strip("_").lower().split("_")
