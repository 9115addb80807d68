"""What a client says of a backend by its class and its address, without its package installed."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit


@lru_cache(maxsize=256)
def class_names(client: type) -> frozenset[str]:
    """The names of a client's class and of those that it is made of."""
    return frozenset(parent.__name__ for parent in client.__mro__)


def is_openai(address: str | None) -> bool:
    """Whether a client for OpenAI's protocol asks OpenAI itself, or Azure.

    Args:
        address: of its endpoint; None: its own default.
    """
    host = urlsplit(address or "").hostname
    return host is None or host.endswith((".openai.com", ".azure.com"))
