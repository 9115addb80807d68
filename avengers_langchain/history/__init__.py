"""A conversation's messages as the backend that is asked next accepts them."""

from avengers_langchain.history.portable import is_plain, portable
from avengers_langchain.history.targets import target_of
from avengers_langchain.history.writers import writer_of

__all__ = ["is_plain", "portable", "target_of", "writer_of"]
