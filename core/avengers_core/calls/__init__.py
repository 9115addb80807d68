"""The log of answered calls: written behind them, graded later, read as records."""

from avengers_core.calls.grading import feedback as feedback
from avengers_core.calls.rows import Call as Call
from avengers_core.calls.rows import Feedback as Feedback
from avengers_core.calls.store import read_log as read_log

__all__ = ["Call", "Feedback", "feedback", "read_log"]
