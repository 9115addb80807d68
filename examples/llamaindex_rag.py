"""A LlamaIndex RAG pipeline with AvengersLLM: the question, not the retrieved text, decides.

Runs as it is with a key in the environment (OPENROUTER_API_KEY, or AVENGERS_BASE_URL with
AVENGERS_API_KEY, or OPENAI_API_KEY). Without one, stand-ins answer that only say their name;
everything else is real: the index, the local embedder, the shipped artifact and the routing.
"""

from __future__ import annotations

from typing import Any

from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.llms import (
    CompletionResponse,
    CompletionResponseGen,
    CustomLLM,
    LLMMetadata,
)
from llama_index.core.llms.callbacks import llm_completion_callback

from avengers_core import Router
from avengers_core.errors import BackendConfigError
from avengers_core.routing.decision.explaining import text_table, usd
from avengers_core.serving.backends.endpoints import endpoint_from_env
from avengers_llamaindex import AvengersEmbedding, AvengersLLM, collect_events, routing_hint

DOCUMENTS = [
    "Canberra became the capital of Australia in 1913, a compromise between Sydney and Melbourne.",
    "Euclid proved that there are infinitely many primes: multiply all known primes and add one.",
    "A binary heap keeps its smallest item at the root; insertion takes O(log n) comparisons.",
    "The treaty of Westphalia ended the Thirty Years' War in 1648.",
]
QUESTIONS = [
    "What is the capital of Australia?",
    "Prove that there are infinitely many primes congruent to 3 modulo 4.",
    "Implement a binary heap with decrease-key in Python and analyse its complexity.",
]


class StandIn(CustomLLM):
    """A backend without a model behind it: it says who would have answered."""

    name: str

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=128_000, model_name=self.name)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        return CompletionResponse(text=f"(an answer by {self.name})")

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **_: Any
    ) -> CompletionResponseGen:
        yield CompletionResponse(text=f"({self.name})", delta=f"({self.name})")


def main() -> None:
    router = Router.default()
    try:
        endpoint_from_env()
        print("Real models answer, through the endpoint in the environment.\n")
        models = None
    except BackendConfigError:
        print("No key in the environment: stand-ins answer, the routing is real.\n")
        models = {model: StandIn(name=model) for model in router.models}

    Settings.embed_model = AvengersEmbedding(router.embedder)
    index = VectorStoreIndex.from_documents([Document(text=text) for text in DOCUMENTS])

    rows = []
    for alpha in (0.1, 0.8):
        Settings.llm = AvengersLLM(alpha=alpha, router=router, models=models)
        engine = index.as_query_engine(similarity_top_k=3)
        for question in QUESTIONS:
            with collect_events() as calls:
                answer = engine.query(question)
            rows.append([f"{alpha:g}", _brief(question), *_who(calls[-1]), _brief(str(answer))])

    # The same prompt, decided on another text than the framework would hand over.
    with collect_events() as calls, routing_hint(QUESTIONS[0]):
        answer = engine.query(QUESTIONS[2])
    rows.append(
        ["0.8", "the last, with the first as routing_hint", *_who(calls[-1]), _brief(str(answer))]
    )

    print(text_table(("alpha", "question", "who", "cost", "why", "answer"), rows, left=range(6)))


def _who(call: Any) -> list[str]:
    decision = call.decision
    topics = ", ".join(decision["clusters"][0]["topics"]) if decision["clusters"] else "no text"
    why = f"{decision['question_from']}, near {topics}"
    return [call.model, usd(decision["expected_cost"]), why]


def _brief(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:37] + "..."


if __name__ == "__main__":
    main()
