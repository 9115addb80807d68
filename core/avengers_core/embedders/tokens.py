"""About how many tokens a text has."""

from __future__ import annotations

BYTES_PER_TOKEN = 4
"""Four characters of English a token is the usual rule of thumb; counted in bytes of UTF-8 it also
does justice to scripts with three bytes and about one token a character."""

MAX_CHARS = 100_000
"""Characters of a text that are embedded, about 25,000 tokens of English: what a text is about
shows by then, and tokenisers take up to 700 bytes of memory and 2.5 µs a character."""


def n_cut(text: str) -> int:
    """Characters of a text that are left out where it is embedded."""
    return max(0, len(text) - MAX_CHARS)


def n_bytes(text: str) -> int:
    """The length of a text in bytes of UTF-8."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def estimate_tokens(text: str) -> int:
    """Tokens of a text: one for every four bytes of UTF-8, rounded up."""
    return -(-n_bytes(text) // BYTES_PER_TOKEN)
