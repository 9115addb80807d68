"""Texts that any output can hold."""

from __future__ import annotations


def encodable(text: str) -> str:
    """A text that can be written as UTF-8.

    Half a surrogate pair, which programs leave that cut texts in UTF-16, becomes U+FFFD.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
