"""A conversation's messages as the backend that is asked next accepts them."""

from avengers_llamaindex.history.plain import is_plain, is_question
from avengers_llamaindex.history.portable import portable
from avengers_llamaindex.history.targets import metadata_of, target_of, writes_into_messages
from avengers_llamaindex.history.writers import writer_of

__all__ = [
    "is_plain",
    "is_question",
    "metadata_of",
    "portable",
    "target_of",
    "writer_of",
    "writes_into_messages",
]
