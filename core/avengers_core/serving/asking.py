"""How a backend is asked, and what its answers say: what a plugin knows of its framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from avengers_core.errors import AvengersError, ContentRefusedError, EmptyResponseError
from avengers_core.serving.resilience.failover import Attempt
from avengers_core.serving.resilience.withheld import broke_off_in, refusal_in, stopped_in
from avengers_core.serving.watching.outcome import Tokens


class Marker(Protocol):
    """Marks the chunks of one stream with the decision."""

    def mark(self, chunk: Any) -> Any:
        """The chunk, marked."""

    def rest(self) -> Iterable[Any]:
        """What goes out after the last chunk."""


class Asking(ABC):
    """What a plugin says of asking its framework's backends."""

    @abstractmethod
    def start(self, attempt: Attempt) -> Any:
        """Ask the backend whose turn it is: an answer, or chunks, or something to be awaited."""

    @abstractmethod
    def tag(self, answer: Any, facts: Mapping[str, Any]) -> Any:
        """The answer with the facts in it; a copy, for caches may hold the original."""

    # What follows is asked of those that stream, or vote.

    def marker(self, facts: dict[str, Any]) -> Marker:
        """What marks the chunks of a stream."""
        raise NotImplementedError

    def says(self, answer: Any) -> str:
        """What an answer says, to be compared with others."""
        raise NotImplementedError

    def merged(self, answers: Sequence[Any], winner: int, facts: dict[str, Any]) -> Any:
        """The winner of several answers, with the facts of the vote, and all their tokens."""
        raise NotImplementedError

    def has_word(self, answer: Any) -> bool:
        """Whether there is a word, a tool call or anything else but thoughts in an answer or a
        chunk; there is, unless the plugin knows better."""
        return True

    def shows_thoughts(self, chunk: Any) -> bool:
        """Whether a chunk shows any of the model's thoughts: a stream of them goes out as it
        comes."""
        return False

    @property
    def follows_results(self) -> bool:
        """Whether the last that is said in the prompt is the result of a tool."""
        return False

    def told(self, answer: Any) -> Any:
        """What the provider said of an answer or a chunk: why it ended."""
        return None

    @property
    def stops(self) -> bool:
        """Whether whoever is asked has stop sequences, before which there may be no word."""
        return False

    def spent(self, answer: Any) -> Tokens | None:
        """The tokens of an answer or a chunk, if it says anything of them."""
        return None

    def announce(self, model: str | None, facts: dict[str, Any]) -> None:  # noqa: B027
        """Tell observers who answers, or that nobody could."""

    # What follows from that.

    def begins(self, chunk: Any) -> bool:
        """Whether a chunk is the first that the caller has to see: from then on nobody takes
        over."""
        return self.has_word(chunk) or self.shows_thoughts(chunk)

    def is_answer(self, answer: Any) -> bool:
        """Whether an answer says anything; what says nothing is only taken if nobody says more."""
        if broke_off_in(self.told(answer)):
            return False
        # After the results of tools a model may well have nothing to add.
        return self.has_word(answer) or self.follows_results

    def stopped(self, said: Iterable[Any]) -> bool:
        """Whether what has no word in it was cut to nothing, as the caller wanted it."""
        return self.stops and any(map(stopped_in, map(self.told, said)))

    def nothing(self, said: Iterable[Any]) -> AvengersError:
        """What it means that an answer, or the chunks of a stream, have no word in them, or are no
        whole answer."""
        told = [self.told(each) for each in said]
        if reason := next(filter(None, map(refusal_in, told)), None):
            return ContentRefusedError(reason)
        if any(map(broke_off_in, told)):
            return EmptyResponseError("the model's own server broke the answer off")
        return EmptyResponseError()
