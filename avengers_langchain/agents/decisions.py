"""Routing as LangChain's decision models: a typed question in, a choice with probabilities out.

Needs ``langchain-core`` 1.8 or later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.runnables.config import ensure_config
from pydantic import Field, model_validator
from typing_extensions import Self

from avengers_core import Router
from avengers_core.errors import QuestionError, needing
from avengers_core.routing.call import RoutingCall
from avengers_core.serving.question import Request
from avengers_core.serving.settings import CONFIG, RoutingSettings
from avengers_langchain.calling.callbacks import ROUTING_QUERY
from avengers_langchain.question import read
from avengers_langchain.runnables import request_of

with needing("langchain-core>=1.8", None):
    from langchain_core.decisions import (
        BaseDecisionModel,
        Choice,
        ChoiceAnswer,
        ClassifierResponse,
        Question,
        State,
    )


class AvengersDecisionModel(RoutingSettings, BaseDecisionModel):
    """Answers which model is to answer, without asking any. ::

        classifier = AvengersDecisionModel(
            alpha=0.4, models={"fast": "openai/gpt-5-mini", "strong": "openai/gpt-5"}
        )
        ModelRouterMiddleware(
            choices={
                "fast": ModelChoice(model="openai:gpt-5-mini", criteria=None),
                "strong": ModelChoice(model="openai:gpt-5", criteria=None),
            },
            instructions="Which model?",
            classifier=classifier,
        )

    The state is a text, messages, or a dict with messages or with a chain's variables; instructions
    and criteria play no part, for records decide. The choice is the model with the best balance of
    expected score and cost. A label's probability is how likely its model is the best, as far as
    the records tell (:meth:`avengers_core.Router.chances`), 0 where a limit rules it out; the
    confidence is the probability of the choice.

    The settings are those of :class:`avengers_core.serving.settings.RoutingSettings`: ``alpha`` (or
    a target), ``router``, ``exclude``, ``max_cost`` and the other limits.

    Args:
        models: label -> model id; default, the labels are model ids of the artifact.
        model: the name under which traces show it.

    Raises:
        ValueError: an argument out of range, a model that the artifact does not have or that has
            two labels, or no artifact at the path.
    """

    model_config = CONFIG

    model: str = "avengers"
    models: dict[str, str] | None = Field(default=None, min_length=1)

    @property
    def _allowed(self) -> tuple[str, ...] | None:
        return None if self.models is None else tuple(self.models.values())

    @model_validator(mode="after")
    def _check_models(self) -> Self:
        if self._allowed is not None and len(set(self._allowed)) < len(self._allowed):
            raise ValueError("models= gives one model two labels, between which nothing decides")
        self._resolved_router().route("").plausible_scores  # noqa: B018 -- made here, not in the first call
        return self

    @property
    def _provider(self) -> str:
        return "avengers"

    def _classify(self, state: State, questions: dict[str, Question]) -> ClassifierResponse:
        router = self._resolved_router()
        labels, request = self._asked(state, questions, router)
        answers = {}
        for name, labelled in labels.items():
            call, earlier = self._call(request, labelled, router)
            decision = router.decide(request.question.text, call, earlier)
            answers[name] = _answer(router.chances(decision), decision.model, labelled)
        return ClassifierResponse(model=self.model, answers=answers)

    async def _aclassify(self, state: State, questions: dict[str, Question]) -> ClassifierResponse:
        router = self._resolved_router()
        labels, request = self._asked(state, questions, router)
        answers = {}
        for name, labelled in labels.items():
            call, earlier = self._call(request, labelled, router)
            decision = await router.adecide(request.question.text, call, earlier)
            answers[name] = _answer(router.chances(decision), decision.model, labelled)
        return ClassifierResponse(model=self.model, answers=answers)

    def _asked(
        self, state: State, questions: Mapping[str, Question], router: Router
    ) -> tuple[dict[str, dict[str, str]], Request]:
        """Of each question label -> model id; and what it is about."""
        labels = {name: self._labels(name, asked, router) for name, asked in questions.items()}
        if not labels:
            raise QuestionError("expected at least one question, got none")
        query = ensure_config().get("metadata", {}).get(ROUTING_QUERY)
        return labels, _request(state, query)

    def _labels(self, name: str, question: Question, router: Router) -> dict[str, str]:
        if not isinstance(question, Choice):
            raise QuestionError(
                f"question {name!r} is a {type(question).__name__}; this model only answers a "
                f"Choice between models"
            )
        known = {m: m for m in router.models} if self.models is None else self.models
        if unknown := sorted(set(question.criteria) - set(known)):
            raise QuestionError(
                f"question {name!r} has labels {unknown} that are no models here; expected some of "
                f"{sorted(known)}, which models= maps to model ids"
            )
        return {label: known[label] for label in question.criteria}

    def _call(
        self, request: Request, labelled: Mapping[str, str], router: Router
    ) -> tuple[RoutingCall, Sequence[str]]:
        """What is asked of the router, and what was said before."""
        policy = self.policy_for(request.question, {}, lambda: {})
        models = [m for m in labelled.values() if m not in policy.exclude]
        if not models:
            raise QuestionError("exclude= leaves none of the models that the question names")
        # Where all are named, nothing has to be looked up of each.
        among = None if len(models) == len(router.models) else models
        call = RoutingCall(policy._replace(exclude=(), models=among), 1, request.prompt_tokens)
        return call, request.earlier


def _answer(chances: Mapping[str, float], model: str, labelled: Mapping[str, str]) -> ChoiceAnswer:
    """The answer that a model was chosen, with the chance of each to be the best."""
    probabilities = {label: chances.get(m, 0.0) for label, m in labelled.items()}
    choice = next(label for label, m in labelled.items() if m == model)
    return ChoiceAnswer(
        type="choice",
        choice=choice,
        probabilities=probabilities,
        confidence=min(probabilities[choice], 1.0),
    )


def _request(state: Any, query: str | None) -> Request:
    try:
        request = request_of(state, query)
    except (TypeError, ValueError, NotImplementedError):  # no messages: some JSON
        request = read([], {}, query)
    if request.question.text.strip() or not isinstance(state, Mapping | Sequence):
        return request
    return request_of(state if isinstance(state, str) else json.dumps(state, default=str), query)
