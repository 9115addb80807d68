"""Texts without secrets: what is known to be one is taken out exactly, wherever it would show.

Secrets are known where they are given or sent: keys, headers, parameters, users and passwords of
URLs (``finding.py``). ``known.py`` takes them out of texts, however these spell them; ``errors.py``
does so with errors of other libraries; ``writing.py`` refuses to write what holds one. For texts of
which nothing can be known there are a few patterns (``shapes.py``).
"""

from avengers_core.redaction.errors import (
    describe,
    mask,
    masked_cause,
    without_what_was_sent,
)
from avengers_core.redaction.finding import (
    secrets_of,
    secrets_of_environment,
    secrets_of_url,
)
from avengers_core.redaction.known import NO_SECRETS, Secrets
from avengers_core.redaction.names import names_key
from avengers_core.redaction.shapes import redacted
from avengers_core.redaction.writing import (
    field_that_shows,
    refuse_key,
    refuse_unpicklable,
)

__all__ = [
    "NO_SECRETS",
    "Secrets",
    "describe",
    "field_that_shows",
    "mask",
    "masked_cause",
    "names_key",
    "redacted",
    "refuse_key",
    "refuse_unpicklable",
    "secrets_of",
    "secrets_of_environment",
    "secrets_of_url",
    "without_what_was_sent",
]
