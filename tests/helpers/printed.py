"""What a command printed, without how it put it."""

from __future__ import annotations


def words(text: str) -> set[str]:
    """The words and numbers of a text, without the marks around them."""
    return {word.strip(".,:;()[]'\"") for word in text.split()}
