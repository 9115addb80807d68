"""Self-consistency: several answers to one question, and the one that most of them give.

The answers are samples of the model that was picked, or come from the best few models (majority
voting over samples: Wang et al., arXiv 2203.11171; the published router's ``max_router`` is how
many models take part).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from avengers_core.common.ranges import check_one_of, check_whole
from avengers_core.routing.decision import RoutingDecision
from avengers_core.serving.resilience.failover import FailedAttempt

VoteOver = Literal["samples", "models"]

MOST_VOTES = 1_000

_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_SAID = re.compile(r"\banswer\s*(?:is\s*:?|[:=])\s*(.+)", re.IGNORECASE)
_MARKUP = re.compile(r"[*_`$\"'()\[\]]|\\[()\[\]]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_ZEROS = re.compile(r"(\d+)\.0+\b")


class Election(NamedTuple):
    """The outcome of a vote.

    Attributes:
        winner: index of the first answer that says what most say.
        votes: how many say it.
        total: how many answers there are.
    """

    winner: int
    votes: int
    total: int


def answer_key(text: str) -> str:
    r"""What an answer says in the end, in a form in which equal answers are equal texts.

    The last ``\boxed{...}``, else what follows the last "answer is" or "answer:" on its line, else
    the whole text; without case, spaces, markup, commas in numbers and zeros after the point.
    """
    if boxed := _BOXED.findall(text):
        text = boxed[-1]
    text = _MARKUP.sub("", text)
    if not boxed and (said := _SAID.findall(text)):
        text = said[-1]
    text = _ZEROS.sub(r"\1", _THOUSANDS.sub("", text))
    return " ".join(text.casefold().split()).rstrip(" .!,;:")


def elect(keys: Sequence[str]) -> Election:
    """The key that most answers have; the earliest of those if several do. Blank ones abstain.

    Raises:
        ValueError: there are no answers.
    """
    if not keys:
        raise ValueError("there is nothing to vote on")
    counts = Counter(key for key in keys if key) or Counter(keys)
    best, votes = counts.most_common(1)[0]  # equal counts: in order of first appearance
    return Election(keys.index(best), votes, len(keys))


def ballots(decision: RoutingDecision, votes: int, over: VoteOver) -> list[RoutingDecision]:
    """One decision for each answer that is wanted.

    Args:
        decision: the ranking.
        votes: how many answers.
        over: ``"samples"``: each of the picked model (or, if it fails, of the next); ``"models"``:
            each of another model, the best first; fewer where fewer are eligible.

    Raises:
        ValueError: an argument out of range.
    """
    check_whole("votes", votes, 1, MOST_VOTES, "each vote is an answer")
    check_one_of("vote_over", over, VoteOver)
    if over == "samples":
        return [decision] * votes
    return [decision.among((c,), decision.ineligible) for c in decision.candidates[:votes]]


def voted_facts(
    facts: Sequence[Mapping[str, Any]], election: Election, tried: Sequence[FailedAttempt]
) -> dict[str, Any]:
    """What :func:`~avengers_core.serving.facts.facts_of` says of each answer, as facts of the vote.

    Args:
        facts: of the answers, in the order of the election's keys.
        election: how it went.
        tried: what failed, also of the ballots that came to no answer.

    Returns:
        The winner's facts, with the sum of the expected costs (USD; None if one is unknown), all
        that was tried and failed, the number of ``votes`` for it, and who answered (``ballots``).
    """
    costs = [each["expected_cost"] for each in facts]
    return {
        **facts[election.winner],
        "expected_cost": None if None in costs else sum(costs),
        "tried": [failed._asdict() for failed in tried],
        "votes": election.votes,
        "ballots": [each["model"] for each in facts],
    }


def text_key(text: str, calls: Sequence[tuple[str, Any]] = ()) -> str:
    """What a message says: the tools that it calls, if it does, else its answer."""
    if calls:
        return json.dumps(calls, sort_keys=True, default=str)
    return answer_key(text)
