"""The question decides, not the retrieved text; the whole prompt decides the cost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from keyword_router import EASY, HARD
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_core.runnables import (
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings
from pydantic import SecretStr
from stub_server import StubServer

from avengers_langchain import AvengersChatModel, routing_hint
from avengers_langchain.calling.callbacks import _prompts
from avengers_langchain.question import read

EASY_QUESTION, HARD_QUESTION = "What is the capital?", "Can you prove it?"
EASY_TEXT, HARD_TEXT = "hello colour capital " * 20, "theorem integral prove " * 20
RAG = ChatPromptTemplate.from_messages(
    [("system", "Answer from the context."), ("human", "{context}\n\nQuestion: {question}")]
)
CASES = [(EASY_QUESTION, HARD_TEXT, EASY), (HARD_QUESTION, EASY_TEXT, HARD)]


def facts(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = message.response_metadata["avengers"]
    return found


@pytest.mark.parametrize(("question", "context", "model"), CASES)
async def test_an_unchanged_chain_routes_on_its_question(
    llm: AvengersChatModel, question: str, context: str, model: str
) -> None:
    chain = {"context": lambda _: context, "question": RunnablePassthrough()} | RAG | llm
    answers = [
        chain.invoke(question),
        await chain.ainvoke(question),
        chain.batch([question])[0],
        (await chain.abatch([question]))[0],
        list(chain.stream(question))[-1],
        [chunk async for chunk in chain.astream(question)][-1],
    ]
    for answer in answers:
        assert (facts(answer)["model"], facts(answer)["question_from"]) == (model, "variable")
        assert facts(answer)["prompt_tokens"] > 100


@pytest.mark.parametrize(("question", "text", "model"), CASES)
async def test_a_rag_chain_over_a_vector_store(
    llm: AvengersChatModel, server: StubServer, question: str, text: str, model: str
) -> None:
    embeddings = OpenAIEmbeddings(
        base_url=server.url, api_key=SecretStr("k"), check_embedding_ctx_length=False
    )
    store = InMemoryVectorStore(embeddings)
    store.add_texts([text, text[::-1]])
    retriever = store.as_retriever(search_kwargs={"k": 1})

    def joined(documents: list[Document]) -> str:
        return "\n\n".join(d.page_content for d in documents)

    chain = (
        {"context": retriever | joined, "question": RunnablePassthrough()}
        | RAG
        | llm
        | StrOutputParser()
    )
    assert chain.invoke(question).startswith(model)
    assert (await chain.ainvoke(question)).startswith(model)
    assert "".join(chain.stream(question)).startswith(model)
    prompt = server.requests[-1].body["messages"][-1]["content"]
    assert question in prompt
    assert len(prompt) > 300


async def test_parallel_and_nested_chains_keep_their_questions_apart(
    llm: AvengersChatModel,
) -> None:
    def chain(context: str) -> Any:
        return RAG.partial(context=context) | llm

    both = RunnableParallel(a=chain(HARD_TEXT), b=chain(EASY_TEXT) | RunnableLambda(lambda m: m))
    for answer in (both.invoke({"question": EASY_QUESTION}),):
        assert {facts(m)["model"] for m in answer.values()} == {EASY}
    questions = [EASY_QUESTION, HARD_QUESTION] * 20
    answers = await asyncio.gather(
        *(chain(HARD_TEXT).ainvoke({"question": question}) for question in questions)
    )
    assert [facts(m)["model"] for m in answers] == [EASY, HARD] * 20


def test_without_a_question_the_template_without_its_context(llm: AvengersChatModel) -> None:
    prompt = PromptTemplate.from_template("hello, sum up:\n{context}")
    answer = (prompt | llm).invoke({"context": HARD_TEXT})
    assert (facts(answer)["model"], facts(answer)["question_from"]) == (EASY, "template")
    documents = [Document(HARD_TEXT)]
    assert facts((prompt | llm).invoke({"context": documents}))["model"] == EASY
    bare = (PromptTemplate.from_template("{context}") | llm).invoke({"context": HARD_TEXT})
    assert (facts(bare)["basis"], facts(bare)["question_from"]) == ("overall", "none")


def test_explicit_queries_in_order_of_precedence(llm: AvengersChatModel) -> None:
    metadata: Any = {"metadata": {"routing_query": "prove"}}
    assert facts(llm.invoke("hello", metadata))["model"] == HARD
    assert facts(list(llm.stream("hello", metadata))[-1])["model"] == HARD
    assert facts(llm.bind(routing_query="prove").invoke("hello"))["model"] == HARD
    assert facts(llm.invoke("hello", metadata, routing_query="hello"))["model"] == EASY
    with routing_hint("prove"):
        assert facts(llm.invoke("hello"))["model"] == HARD
        assert facts(llm.invoke("hello", routing_query="hello"))["model"] == EASY
    chain = RAG | llm
    variables = {"question": "hello", "context": ""}
    assert facts(chain.invoke(variables, metadata))["model"] == HARD
    assert facts(chain.invoke(variables, metadata))["question_from"] == "hint"
    assert facts(chain.invoke(variables))["model"] == EASY


def test_the_last_human_message_decides(llm: AvengersChatModel) -> None:
    call: Any = {"name": "f", "args": {}, "id": "1", "type": "tool_call"}
    conversation = [
        SystemMessage("prove everything"),
        HumanMessage("prove it"),
        AIMessage("theorem"),
        HumanMessage("What is the capital of Peru?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("prove theorem integral", tool_call_id="1"),
        HumanMessage("Observation: prove theorem integral"),
    ]
    assert facts(llm.invoke(conversation))["model"] == EASY


def test_a_chat_prompt_with_history(llm: AvengersChatModel) -> None:
    prompt = ChatPromptTemplate.from_messages(
        [MessagesPlaceholder("chat_history"), ("human", "{input}")]
    )
    history = [HumanMessage("prove"), AIMessage("theorem")]
    question = "What is the capital of Peru?"
    answer = (prompt | llm).invoke({"chat_history": history, "input": question})
    assert facts(answer)["model"] == EASY


@pytest.mark.parametrize("messages", ["", [SystemMessage("prove")], [HumanMessage([])]])
def test_nothing_usable_is_decided_on_the_means(llm: AvengersChatModel, messages: Any) -> None:
    assert facts(llm.invoke(messages))["basis"] == "overall"


def test_the_whole_prompt_counts_on_the_cost_side(llm: AvengersChatModel) -> None:
    chain = RAG | llm

    def cost(words: int) -> float:
        variables = {"question": HARD_QUESTION, "context": "word " * words}
        return float(facts(chain.invoke(variables))["expected_cost"])

    # 2e-6 USD a token, and five letters are a token and a quarter.
    assert cost(4000) - cost(0) == pytest.approx(4000 * 1.25 * 2e-6, rel=0.01)


def test_tool_calls_count_too(llm: AvengersChatModel) -> None:
    call: Any = {"name": "f", "args": {"code": "x = 1\n" * 500}, "id": "1", "type": "tool_call"}
    turn = [AIMessage("", tool_calls=[call]), ToolMessage("done", tool_call_id="1")]
    tokens = facts(llm.invoke([HumanMessage("hello"), *turn]))["prompt_tokens"]
    assert 500 * 6 / 4 < tokens < 1000


def test_nothing_is_kept_of_a_chain_that_ended(llm: AvengersChatModel) -> None:
    chain = RAG | llm
    broken = RAG | RunnableLambda(lambda _: 1 / 0)
    variables = {"question": "hello", "context": ""}
    for run in (chain.invoke, lambda v: list(chain.stream(v)), broken.invoke):
        with suppress(ZeroDivisionError):
            run(variables)
        prompts = _prompts.get()
        assert prompts is not None
        assert (prompts.made, prompts.begun) == ({}, {})


def _same(value: Any) -> Any:
    return value


@pytest.mark.parametrize(  # both questions in each shape, whole and streamed, in both worlds
    ("how", "case"),
    [("invoke", CASES[0]), ("ainvoke", CASES[1]), ("stream", CASES[1]), ("astream", CASES[0])],
)
@pytest.mark.parametrize(
    "shape",
    [
        lambda llm: RAG | RunnableBranch((lambda _: True, llm), llm),
        lambda llm: RAG | llm.with_retry(),
        lambda llm: RAG | llm.with_fallbacks([llm]),
        lambda llm: RAG | RunnablePassthrough() | _same | llm,
        lambda llm: RAG | (lambda prompt: prompt.to_messages()) | llm.with_config(tags=["t"]),
        lambda llm: RAG | (lambda prompt: prompt.to_string()) | llm,  # no longer the same text
        lambda llm: RunnableLambda(RAG.invoke) | llm,
        lambda llm: RunnableLambda(lambda _: RAG) | llm,
        lambda llm: RunnableLambda(lambda variables: llm.invoke(RAG.invoke(variables))),
        lambda llm: RAG | {"answer": llm | _same} | (lambda both: both["answer"]),
    ],
)
async def test_through_chains_of_any_shape(
    llm: AvengersChatModel, shape: Any, how: str, case: tuple[str, str, str]
) -> None:
    chain = shape(llm)
    question, context, model = case
    variables = {"question": question, "context": context}
    if how == "invoke":
        answer = chain.invoke(variables)
    elif how == "ainvoke":
        answer = await chain.ainvoke(variables)
    elif how == "stream":
        answer = list(chain.stream(variables))[-1]
    else:
        answer = [chunk async for chunk in chain.astream(variables)][-1]
    assert (facts(answer)["model"], facts(answer)["question_from"]) == (model, "variable")


async def test_a_template_that_is_called_alone(llm: AvengersChatModel) -> None:
    for question, context, model in CASES:
        variables = {"question": question, "context": context}
        assert facts(llm.invoke(RAG.invoke(variables)))["model"] == model
        assert facts(await llm.ainvoke(await RAG.ainvoke(variables)))["model"] == model
        assert facts(list(llm.stream(RAG.invoke(variables)))[-1])["model"] == model
    RAG.invoke({"question": "hello", "context": ""})
    assert facts(llm.invoke("Prove: hello"))["model"] == HARD  # not what the template made


def test_a_later_model_goes_by_its_own_text(llm: AvengersChatModel) -> None:
    chain = RAG | llm | (lambda _: "Now prove the theorem") | llm
    answer = chain.invoke({"question": EASY_QUESTION, "context": ""})
    assert (facts(answer)["model"], facts(answer)["question_from"]) == (HARD, "message")


def test_prompts_that_are_generated_for_at_once_keep_their_questions(
    llm: AvengersChatModel,
) -> None:
    def ask(questions: list[str]) -> list[Any]:
        context = "Prove this theorem"
        prompts = [RAG.invoke({"context": context, "question": q}) for q in questions]
        return [answers[0] for answers in llm.generate_prompt(prompts).generations]

    answers = RunnableLambda(ask).invoke(["hello there", "Prove the integral"])
    assert [facts(answer.message)["model"] for answer in answers] == [EASY, HARD]


def test_a_word_or_two_of_an_earlier_question_do_not_decide(llm: AvengersChatModel) -> None:
    classify = ChatPromptTemplate.from_template("{input}") | llm
    long = "What is the colour of the flag of France, please?"

    def graph(asked: tuple[str, str]) -> Any:
        classify.invoke({"input": asked[0]})
        return llm.invoke(asked[1])

    run = RunnableLambda(graph)
    found = facts(run.invoke(("hi", "Prove this theorem about the integral")))
    assert (found["model"], found["question_from"]) == (HARD, "message")
    found = facts(run.invoke((long, f"Prove this theorem, prove. Also: {long}")))
    assert (found["model"], found["question_from"]) == (EASY, "variable")


def test_a_summary_is_no_question(llm: AvengersChatModel) -> None:
    summary = HumanMessage(
        "Here is a summary: hello, capital", additional_kwargs={"lc_source": "summarization"}
    )
    answer = llm.invoke([HumanMessage("Prove this theorem"), summary])
    assert facts(answer)["model"] == HARD


@pytest.mark.parametrize("text", ["Prove it", " \n", "", "Observation: it is 4", "Ωmega " * 50])
@pytest.mark.parametrize("variables", [{}, {"question": "hello"}, {"context": "Prove"}])
def test_a_question_alone_is_read_as_one_in_blocks(text: str, variables: dict[str, str]) -> None:
    alone = read([HumanMessage(text)], variables)
    in_blocks = read([HumanMessage([{"type": "text", "text": text}])], variables)
    assert alone.question == in_blocks.question
    assert (alone.tokens, alone.needs) == (in_blocks.tokens, in_blocks.needs)
    assert alone.prompt_tokens == in_blocks.prompt_tokens
    assert alone.conversation_id == in_blocks.conversation_id
