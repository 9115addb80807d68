"""A conversation's messages as the backend that is asked next accepts them."""

from avengers_llamaindex.history.portable import is_plain, portable
from avengers_llamaindex.history.targets import target_of
from avengers_llamaindex.history.writers import writer_of

__all__ = ["is_plain", "portable", "target_of", "writer_of"]
