"""The Avengers router for LangChain: a chat model, a runnable, embeddings, agent middleware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avengers_core.errors import OptionalDependencyError
from avengers_core.serving.backends.capabilities import Capabilities
from avengers_core.serving.question import routing_hint

try:
    import langchain_core  # noqa: F401
except ModuleNotFoundError as error:
    raise OptionalDependencyError("langchain-core", "langchain") from error

from avengers_langchain.binding import AvengersBinding
from avengers_langchain.chat_models import AvengersChatModel
from avengers_langchain.embeddings import AvengersEmbeddings
from avengers_langchain.runnables import AvengersRouter

if TYPE_CHECKING:
    from avengers_langchain.agents.decisions import AvengersDecisionModel as AvengersDecisionModel
    from avengers_langchain.agents.middleware import AvengersMiddleware as AvengersMiddleware

__all__ = [
    "AvengersBinding",
    "AvengersChatModel",
    "AvengersDecisionModel",
    "AvengersEmbeddings",
    "AvengersMiddleware",
    "AvengersRouter",
    "Capabilities",
    "routing_hint",
]


def __getattr__(name: str) -> Any:
    # They need the package `langchain`, and a newer `langchain-core`; the rest does not.
    if name == "AvengersMiddleware":
        from avengers_langchain.agents.middleware import AvengersMiddleware

        return AvengersMiddleware
    if name == "AvengersDecisionModel":
        from avengers_langchain.agents.decisions import AvengersDecisionModel

        return AvengersDecisionModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
