"""Everything this package raises on purpose.

::

    AvengersError
    ├── RecordError (ValueError)             a record is malformed
    │   └── NoRecordsError                   there is no row at all, neither good nor bad
    ├── LogError (ValueError)                a log of calls cannot be used
    ├── ArtifactError (ValueError)           an artifact is damaged, foreign or does not fit
    ├── EmbedderError                        an embedder failed or returned nonsense
    │   └── EmbedderMismatchError            not the one the artifact was fitted with
    ├── NoEligibleModelError                 the constraints of a call leave no model
    ├── BackendConfigError                   no backend can be built from what is configured
    ├── AllBackendsFailedError               every candidate of a decision failed
    ├── EmptyResponseError                   a backend gave no answer; the next one is asked
    ├── ContentRefusedError                  a backend withheld its answer for what it says
    ├── QuestionError (ValueError)            a decision model is not asked for a model
    └── OptionalDependencyError (ImportError)  an extra is not installed
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avengers_core.serving.resilience.failover import FailedAttempt


class AvengersError(Exception):
    """Base of all errors of this package."""


class RecordError(AvengersError, ValueError):
    """A record is malformed; the message names the line and the reason."""


class NoRecordsError(RecordError):
    """What should hold records is empty: not a single row, neither good nor bad."""


class LogError(AvengersError, ValueError):
    """A log of calls is somewhere else, is something else, or has no such call."""


class ArtifactError(AvengersError, ValueError):
    """An artifact is damaged, of an unknown version, or does not fit the operation."""


class EmbedderError(AvengersError):
    """An embedder failed or returned something that is not one vector per text."""


class EmbedderMismatchError(EmbedderError):
    """The embedder differs from the one that the artifact was fitted with."""


class NoEligibleModelError(AvengersError):
    """The constraints of a call leave no model; the message says which removed whom.

    Attributes:
        reasons: model -> why it is not eligible.
    """

    def __init__(self, message: str, reasons: Mapping[str, str] | None = None) -> None:
        super().__init__(message, dict(reasons or {}))
        self.reasons: Mapping[str, str] = self.args[1]

    def __str__(self) -> str:
        return str(self.args[0])


class BackendConfigError(AvengersError):
    """No backend can be built from the arguments and the environment."""


class AllBackendsFailedError(AvengersError):
    """Every candidate of a decision failed; the message lists each model and its error.

    Attributes:
        tried: model, kind of failure and message (without keys) of each attempt, in order.
    """

    def __init__(self, message: str, tried: tuple[FailedAttempt, ...] = ()) -> None:
        super().__init__(message, tried)
        self.tried = tried

    def __str__(self) -> str:
        return str(self.args[0])


class EmptyResponseError(AvengersError):
    """A backend said nothing, which is what clients make of a response that is none, or no whole
    answer.

    Args:
        message: what came instead of an answer.
    """

    def __init__(self, message: str = "the answer ended before its first word") -> None:
        super().__init__(message)


class ContentRefusedError(AvengersError):
    """A backend withheld its answer for what it, or the question, says.

    Args:
        reason: what the provider calls it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"no answer, because of a content filter: {reason}")
        self.reason = reason

    def __reduce__(self) -> tuple[type[ContentRefusedError], tuple[str]]:
        return type(self), (self.reason,)


class QuestionError(AvengersError, ValueError):
    """A decision model is asked something else than which of its models is to answer."""


class OptionalDependencyError(AvengersError, ImportError):
    """A feature needs an optional dependency that is not installed.

    Args:
        package: with the version that is needed, if any will not do.
        extra: of this package, which installs it; None: the package itself has to be named.
    """

    def __init__(self, package: str, extra: str | None) -> None:
        install = package if extra is None else f"avengers-router[{extra}]"
        super().__init__(
            f"{package} is needed for this and is not installed. "
            f"Install it with: pip install '{install}'"
        )
        self._arguments = package, extra

    def __reduce__(self) -> tuple[type[OptionalDependencyError], tuple[str, str | None]]:
        return type(self), self._arguments  # worker processes send their errors home


@contextmanager
def needing(package: str, extra: str | None) -> Iterator[None]:
    """A context for imports of what may be missing; for the arguments, and what is raised then, see
    :class:`OptionalDependencyError`."""
    try:
        yield
    except ImportError as error:
        raise OptionalDependencyError(package, extra) from error
