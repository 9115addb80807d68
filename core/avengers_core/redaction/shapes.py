"""What looks like a secret, for texts of which nothing can be known.

Such are errors of a function or a library that has a key of its own, of a server that repeats a key
in part (``sk-...1234``), and questions in a log. Each pattern is there for what no name, request or
variable tells, and none is asked where a secret is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from avengers_core.redaction.known import MASK, without
from avengers_core.redaction.names import names_key

# Where a word can begin: also after an escape that some quoting left, as in "\nsk-..." or "%20sk-".
_ESCAPE = r"\\[nrtbf]|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|%[0-9a-fA-F]{2}"
_START = "(?:(?<![^\\W_])|" + "|".join(f"(?<={e})" for e in _ESCAPE.split("|")) + ")"
_CHARACTERS = r"[\w.*+/=~%-]"

# Keys that their issuers marked, so that scanners find them: a server that was sent none of ours,
# or repeats one in part, quotes it without a name. Behind prefixes that names of models and
# functions may have as well, more has to follow.
_ISSUED = re.compile(
    rf"({_START}(?:(?i:sk-|pk-|gsk_|csk-|AIza)(?={_CHARACTERS}{{6}})"
    r"|(?:(?:xai|pplx|nvapi|sess|tvly|glpat|pa|xox[abprs])-|(?:r8|fw|ek|jina|lsv2|tgp_v1|gh[pousr]"
    r"|github_pat|[srp]k_live|[srp]k_test)_|ya29\.|AQ\.|AKIA|ASIA|dapi|eyJ)(?=[\w-]{16})"
    rf"|hf_(?=[A-Za-z0-9]{{16}}))){_CHARACTERS}+"
)
# What follows a scheme of authorization, as clients show what they sent; but "Basic authentication
# failed" says nothing secret.
_SCHEME = r"(?:Bearer|Basic)(?:[\s+:=\"'\\]|%20)+"
_ORDINARY = (
    r"(?!(?:access|auth|authentication|authori[sz]ation|credentials?|schemes?|tokens?|realm)"
    rf"\.?(?!{_CHARACTERS}))"
)
_AUTHORIZATION = re.compile(rf"({_START}{_SCHEME}){_ORDINARY}{_CHARACTERS}{{6,}}", re.IGNORECASE)
# User and password of an address that is none of ours, such as a database's or a proxy's.
_USER = re.compile(r"(://)[^\s/?#\"'<>]+(?=@)")
# A name of something, as clients show their settings, and its value: which names hold keys is asked
# in between, so that of all others no value is looked for.
_NAMED = re.compile(
    rf"(?P<before>{_ESCAPE}|(?<![\w.-]))"
    r"(?P<name>(?:access|api|secret)\s+key|[\w.-]{1,200})"
    r"(?=(?P<sign>(?:\s+provided)?\\*[\"']?\]?\s*(?:=>|[:=]|%3[ad])\s*))",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"(?:[\w.]{0,40}[\[(]\s*|[bu](?=[\\\"']))?"  # SecretStr('...'), ['...'], b'...'
    r"(?:"
    r"\\+[\"'](?P<escaped>(?:(?!\\{1,16}[\"']).)*)"
    r"|\"(?P<double>(?:\\.|[^\"\\])*)"
    r"|'(?P<single>(?:\\.|[^'\\])*)"
    r"|(?P<bare>(?:(?:apikey|basic|bearer|digest|key|negotiate|token)(?:[\s+]|%20)+)?"
    r"[^\s\"',;&}<]+)"
    r")",
    re.IGNORECASE,
)
# ("authorization", "Bearer ..."), as lists of headers are shown.
_PAIR = re.compile(
    r"[(\[]\s*b?(?P<q>[\"'])(?P<name>[\w.-]{1,200})(?P=q)\s*,\s*"
    r"b?(?P<r>[\"'])(?P<value>(?:\\.|(?!(?P=r))[^\\])*)(?P=r)\s*[)\]]"
)
# Every pattern above needs one of these, or a long word: most texts have neither, and are done
# with.
_SIGNS = (
    *("sk-", "pk-", "gsk_", "csk-", "aiza", "key", "authorization", "cookie", "credential"),
    *("passphrase", "passw", "pwd", "secret", "signature", "jwt", "sig", "token"),
    *("bearer", "basic", "@"),
)
_LONG_WORD = 16
_NOTHING = frozenset({"", "none", "null", "true", "false", MASK})


def redacted(text: str) -> str:
    """A text with ``***`` in place of what looks like a key, a password, or the user of a URL."""
    if not _may_hold_keys(text):
        return text
    text = without(text, _named_values(text))
    for shape in (_ISSUED, _AUTHORIZATION, _USER):
        text = shape.sub(rf"\1{MASK}", text)
    return text


def _may_hold_keys(text: str) -> bool:
    folded = text.casefold()
    longest = max(map(len, folded.split()), default=0)
    return longest >= _LONG_WORD or any(map(folded.__contains__, _SIGNS))


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
        value = _VALUE.match(text, match.end("sign"))
        if value and value.lastgroup and value[value.lastgroup].lower() not in _NOTHING:
            yield value.span(value.lastgroup)
    for match in _PAIR.finditer(text):
        if names_key(match["name"]) and match["value"].lower() not in _NOTHING:
            yield match.span("value")
