"""From questions to records: models are asked, answers graded, and what it took is written down.

::

    records = collect(questions, {"a": ChatOpenAI(...), "b": my_function}, "exact", path="r.jsonl")
"""

from __future__ import annotations

from avengers_core.collecting.answers import Answer
from avengers_core.collecting.collect import Collected, collect
from avengers_core.collecting.graders import as_grader
from avengers_core.collecting.grades import Graded, GraderError
from avengers_core.collecting.judge import judge
from avengers_core.collecting.running import FailedCall

__all__ = [
    "Answer",
    "Collected",
    "FailedCall",
    "Graded",
    "GraderError",
    "as_grader",
    "collect",
    "judge",
]
