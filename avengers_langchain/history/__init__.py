"""A conversation's messages as the backend that is asked next accepts them."""

from avengers_langchain.history.plain import is_plain
from avengers_langchain.history.portable import portable
from avengers_langchain.history.targets import in_its_protocol, target_of
from avengers_langchain.history.writers import writer_of

__all__ = ["in_its_protocol", "is_plain", "portable", "target_of", "writer_of"]
