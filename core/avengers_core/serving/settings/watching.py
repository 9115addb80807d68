"""Who is told of calls, and what people thought of them."""

from __future__ import annotations

import os
from typing import Any

from pydantic import BaseModel, Field, field_serializer, field_validator

from avengers_core.calls.registry import call_log
from avengers_core.calls.rows import Feedback
from avengers_core.calls.store import check_log
from avengers_core.errors import LogError
from avengers_core.serving.settings.base import CONFIG
from avengers_core.serving.watching.telemetry import find_telemetry


class WatchingSettings(BaseModel):
    """Where calls are noted, and whether they are traced."""

    model_config = CONFIG

    log: Any = Field(
        default=None,
        repr=False,
        description="where calls are noted: the path of a SQLite file, or a function that takes a "
        "row as a dict; written behind the calls, which it neither slows nor breaks",
    )
    log_text: bool = Field(
        default=True,
        description="whether the log may hold questions; else their vectors and surface features "
        "alone",
    )
    otel: bool | None = Field(
        default=None,
        description="whether calls are OpenTelemetry spans and counts; None, where the program has "
        "set up OpenTelemetry",
    )

    @field_validator("log", mode="before")
    @classmethod
    def _a_log(cls, log: Any) -> Any:
        if log is None or callable(log):
            return log
        if not isinstance(log, str | os.PathLike):
            raise TypeError(
                f"log= takes a path or a function that takes a row, got {type(log).__name__}"
            )
        if not os.fspath(log):
            raise ValueError("log= is a blank path")
        check_log(log)
        return os.path.abspath(log)  # wherever the program may go

    @field_validator("otel")
    @classmethod
    def _installed(cls, otel: bool | None) -> bool | None:
        if otel:
            find_telemetry(True)
        return otel

    @field_serializer("log")
    def _log_name(self, log: Any) -> str | None:
        return log if log is None or isinstance(log, str) else call_log(log).name

    def feedback(self, id: str, score: float, source: str | None = None) -> None:
        """Grade a call, now or later: a thumb, a test, a judge. The newest grade counts.

        Args:
            id: of the call, which its answer has in its metadata.
            score: how good the answer was, in [0, 1].
            source: who says so.

        Raises:
            LogError: there is no ``log=``.
            ValueError: a score outside [0, 1].
        """
        if self.log is None:
            raise LogError("feedback joins a log: set log= to the path that calls are noted in")
        given = Feedback.of(id, score, source)
        call_log(self.log).put(lambda: given)
