"""What a log of calls teaches: artifacts that follow it, and alarms where something has changed."""

from avengers_core.learning.calls import Calls
from avengers_core.learning.learn import Lesson, learn
from avengers_core.learning.watch import Watch, watch

__all__ = ["Calls", "Lesson", "Watch", "learn", "watch"]
