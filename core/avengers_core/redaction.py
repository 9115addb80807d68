"""Texts without keys: errors of other libraries go into ours, and into logs, as these say them.

A key is found by its shape (``sk-...``), by the name before it (``api_key=...``, a header, a
parameter of a URL), as the password of a URL, or because it was sent with the request. What is
masked too much does less harm than what is masked too little.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

_MASK = "***"
_DEEPEST = 4  # mappings in mappings
_SHOWN = 300  # characters of a foreign error text in ours
_SEARCHED = 20_000  # and of it, where patterns are looked for
_WHOLE_WORD = 8  # characters; a shorter secret may be a part of an ordinary word
_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")

# Where a word can begin: also after an escape that some quoting left, as in "\nsk-..." or "%20sk-".
_ESCAPE = r"\\[nrtbf]|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|%[0-9a-fA-F]{2}"
_START = "(?:(?<![^\\W_])|" + "|".join(f"(?<={e})" for e in _ESCAPE.split("|")) + ")"

_CHARACTERS = r"[\w.*+/=~%-]"
# Of a shape that no word has, or a scheme of authorization.
_SHORT = r"sk-|pk-|gsk_|csk-|AIza"
_SCHEME = r"(?:Bearer|Basic)(?:[\s+:=\"'\\]|%20)+"
# "Basic authentication failed" says nothing secret.
_ORDINARY = (
    r"(?!(?:access|auth|authentication|authori[sz]ation|credentials?|schemes?|tokens?|realm)"
    rf"\.?(?!{_CHARACTERS}))"
)
# Prefixes that names of models and functions may have as well, so more has to follow.
_LONG = (
    r"(?:xai|pplx|nvapi|sess|tvly|glpat|pa|key|xox[abprs])-"
    r"|(?:r8|fw|ek|jina|lsv2|tgp_v1|gh[pousr]|github_pat|[srp]k_live|[srp]k_test)_|ya29\.|AQ\."
)
_SHAPES = (
    # In the middle of a word only if it is long and has a digit: "task-..." is no key.
    re.compile(rf"({_START}(?:{_SHORT})){_CHARACTERS}{{6,}}", re.IGNORECASE),
    re.compile(rf"((?:{_SHORT}))(?=[\w-]{{0,64}}?\d)[\w-]{{20,}}", re.IGNORECASE),
    re.compile(rf"({_START}{_SCHEME}){_ORDINARY}{_CHARACTERS}{{6,}}", re.IGNORECASE),
    re.compile(rf"({_START}(?:{_LONG}))[\w-]{{16,}}"),
    re.compile(rf"({_START}hf_)[A-Za-z0-9]{{16,}}"),
    re.compile(rf"({_START}(?:AKIA|ASIA))[A-Z0-9]{{16}}"),
    re.compile(rf"({_START}dapi)[0-9a-f]{{32}}"),
    re.compile(rf"({_START}eyJ)[\w-]{{8,4000}}\.[\w.-]+"),
    re.compile(r"(\b(?:api|access)[\s_-]?key\s+[\"']?)(?=[\w-]{0,64}?\d)[\w-]{16,}", re.IGNORECASE),
    re.compile(r"(://)[^\s/?#\"'<>]+(?=@)"),
)

_KEY_NAME = re.compile(
    r"(?:access|api|auth|private|secret|subscription)_?key"
    r"|authorization|cookie|credential|passphrase|passw(?:or)?d|secret|signature"
    r"|(?:^|_)(?:jwt|pwd|sig)$"
    # But not the tokens of a tokenizer or of a list in pages, nor the keys of a mapping.
    r"|(?<!bos_)(?<!cls_)(?<!eos_)(?<!mask_)(?<!next_)(?<!pad_)(?<!page_)(?<!sep_)"
    r"(?<!special_)(?<!start_)(?<!stop_)(?<!unk_)token$"
    r"|(?:^|_)(?<!cache_)(?<!image_)(?<!index_)(?<!input_)(?<!memory_)(?<!messages_)"
    r"(?<!metadata_)(?<!output_)(?<!primary_)(?<!public_)(?<!sort_)(?<!text_)key$"
)
# A name and what follows it, for all names; which of them hold keys is asked afterwards.
_NAMED = re.compile(
    rf"(?P<before>{_ESCAPE}|(?<![\w.-]))"
    r"(?P<name>(?:access|api|secret)\s+key|[\w.-]{1,200})"
    r"(?=(?:\s+provided)?\\*[\"']?\]?\s*(?:=>|[:=]|%3[ad])\s*"
    r"(?:[\w.]{0,40}[\[(]\s*|[bu](?=[\\\"']))?"  # SecretStr('...'), ['...'], b'...'
    r"(?:"
    r"\\+[\"'](?P<escaped>(?:(?!\\{1,16}[\"']).)*)"
    r"|\"(?P<double>(?:\\.|[^\"\\])*)"
    r"|'(?P<single>(?:\\.|[^'\\])*)"
    r"|(?P<bare>(?:(?:apikey|basic|bearer|digest|key|negotiate|token)(?:[\s+]|%20)+)?"
    r"[^\s\"',;&}<]+)"
    r"))",
    re.IGNORECASE,
)
# ("authorization", "Bearer ..."), as lists of headers are shown.
_PAIR = re.compile(
    r"[(\[]\s*b?(?P<q>[\"'])(?P<name>[\w.-]{1,200})(?P=q)\s*,\s*"
    r"b?(?P<r>[\"'])(?P<value>(?:\\.|(?!(?P=r))[^\\])*)(?P=r)\s*[)\]]"
)
# Every name and every shape above has one of these, or a long word: most texts have neither, and
# are done with.
_SIGNS = (
    *("sk-", "pk-", "gsk_", "csk-", "aiza", "key", "authorization", "cookie", "credential"),
    *("passphrase", "passw", "pwd", "secret", "signature", "jwt", "sig", "token"),
    *("bearer", "basic", "@"),
)
_LONG_WORD = 16
_NOTHING = frozenset({"", "none", "null", "true", "false", _MASK})


def describe(error: object, *secrets: str) -> str:
    """An error on one line, shortened, without keys.

    Args:
        error: an exception, of which the class is named too; or the text of one.
        secrets: keys that may be in it; those that were sent with the request are known.
    """
    text = ""
    with suppress(Exception):  # what an error is made of may be anything
        text = " ".join(str(error).split())
    for secret in (*secrets, *_keys_sent(error)):
        text = _without(text, secret)
    text = redacted(text[:_SEARCHED])
    if isinstance(error, BaseException):
        name = type(error).__name__
        text = f"{name}: {text}" if text else name
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def mask(error: BaseException) -> bool:
    """Let an error of another library, and those it came from, show no key that a server quoted.

    Returns:
        Whether their texts show none now; where one is made of other things than its first argument
        it stays as it is.
    """
    chain, keys = [error], list[str]()
    while (before := chain[-1].__cause__ or chain[-1].__context__) and before not in chain:
        chain.append(before)
    for each in chain:
        keys += _keys_sent(each)
    masked = [_mask(each, keys) for each in chain]  # each of them, whatever the others
    return all(masked)


def _mask(error: BaseException, keys: list[str]) -> bool:
    with suppress(Exception):  # what an error is made of may be anything
        text = str(error)
        clean = text[:_SEARCHED]
        for key in keys:
            clean = _without(clean, key)
        clean = redacted(clean)
        if clean != text and error.args and error.args[0] == text:
            error.args = (clean, *error.args[1:])
        return str(error) == clean
    return False


def redacted(text: str) -> str:
    """A text with keys, and what URLs have as user and password, masked."""
    if not _may_hold_keys(text):
        return text
    out, end = [], 0
    for start, stop in sorted(_named_values(text)):
        if start >= end:
            out += [text[end:start], _MASK]
            end = stop
    text = "".join(out) + text[end:]
    for shape in _SHAPES:
        text = shape.sub(rf"\1{_MASK}", text)
    return text


def _may_hold_keys(text: str) -> bool:
    folded = text.casefold()
    longest = max(map(len, folded.split()), default=0)
    return longest >= _LONG_WORD or any(map(folded.__contains__, _SIGNS))


def names_key(name: str) -> bool:
    """Whether an attribute, a header or a parameter of this name holds a key or a password."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\s.-]+", "_", name).strip("_")
    return _KEY_NAME.search(words.lower()) is not None


def _named_values(text: str) -> Iterator[tuple[int, int]]:
    """Where the values of names that hold keys begin and end."""
    for match in _NAMED.finditer(text):
        start = match.start("name")
        if not names_key(match["name"]) or text[start - 2 : start] == "//":  # a host and its port
            continue
        if match["name"].lower() == "key":
            # A key is much else, but in a URL.
            before = match["before"].lower() or text[start - 1 : start]
            if before not in ("?", "&", "%3f", "%26"):
                continue
        value = next(v for v in ("escaped", "double", "single", "bare") if match[v] is not None)
        if match[value].lower() not in _NOTHING:
            yield match.span(value)
    for match in _PAIR.finditer(text):
        if names_key(match["name"]) and match["value"].lower() not in _NOTHING:
            yield match.span("value")


def _without(text: str, secret: str) -> str:
    """A text without a secret, also where that is quoted for a URL or for JSON."""
    secret = " ".join(secret.split())
    forms = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    for form in sorted(forms - {""}, key=len, reverse=True):
        if len(secret) < _WHOLE_WORD:
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", _MASK, text)
        else:
            text = text.replace(form, _MASK)
    return text


def _keys_sent(error: object) -> list[str]:
    """The keys in the request that an error belongs to: servers quote them in their answers."""
    with suppress(Exception):
        headers = error.request.headers  # type: ignore[attr-defined]
        sent = [str(headers[name]) for name in _HEADERS if name in headers]
        keys = [key.rpartition(" ")[2] for key in sent]
        # What servers that need no key are sent is an ordinary word.
        return [key for key in keys if key.lower() not in _NOTHING]
    return []


def refuse_key(what: str, subject: object, instead: str) -> None:
    """Raise if an object holds what looks like a key, which a pickle would write in clear.

    Args:
        what: names the object in the error.
        subject: any object; its own attributes are looked at.
        instead: what to do instead, a sentence.

    Raises:
        TypeError: it holds one.
    """
    for name, value in getattr(subject, "__dict__", {}).items():
        if _is_key(name, value):
            raise TypeError(
                f"{what} holds a key ({name}), which a pickle would write in clear. {instead}"
            )


def refuse_unpicklable(what: str, subject: object, instead: str) -> None:
    """Raise if an object cannot be pickled, with what to do instead; arguments as above.

    Raises:
        TypeError: it cannot.
    """
    try:
        pickle.dumps(subject)
    except Exception as error:
        raise TypeError(f"{what} cannot be pickled ({describe(error)}). {instead}") from error


def _is_key(name: str, value: Any, depth: int = 0) -> bool:
    if isinstance(value, Mapping):
        # Headers may be among other options. What is deeper may hold itself.
        return depth < _DEEPEST and any(_is_key(str(k), v, depth + 1) for k, v in value.items())
    return bool(isinstance(value, str | bytes | SecretStr) and value and names_key(name))
