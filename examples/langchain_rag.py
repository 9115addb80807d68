"""Retrieval that is aware of cost: the question decides the route, the whole prompt the price.

The chain is a plain LCEL one. The handbook is full of formulas, but a plain question about it goes
to a cheap model; the router's own embedder serves the vector store, with no key and no download.

    python examples/langchain_rag.py
"""

from __future__ import annotations

from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from stand_ins import models_or_stand_ins, reason

from avengers_langchain import AvengersChatModel, AvengersEmbeddings

HANDBOOK = (
    "Bearings. The fatigue life is L = (C/P)^3 million turns, with C the dynamic load rating and "
    "P the load. Grease every 2,000 hours of operation with grease number 7.",
    "Pumps. The power is rho g Q H / eta. Cavitation sets in where the pressure at the inlet "
    "falls under the vapour pressure; derive the margin from Bernoulli's equation.",
    "Vacation. Every employee has 28 days a year. Up to five may be carried over to March.",
)
QUESTIONS = (
    "How many days of vacation do I have?",
    "Write a Python function that computes the fatigue life of a bearing.",
)


def joined(documents: list[Document]) -> str:
    """The texts of documents, with the whole handbook's appendix, as a long context."""
    return "\n\n".join(document.page_content for document in documents) * 20


def main() -> None:
    """Ask an easy and a hard question about the same handbook."""
    llm = AvengersChatModel(alpha=0.4, models=models_or_stand_ins())
    store = InMemoryVectorStore.from_texts(list(HANDBOOK), AvengersEmbeddings())
    prompt = ChatPromptTemplate.from_template(
        "Answer from this handbook:\n{context}\n\nQuestion: {question}"
    )
    retriever = store.as_retriever(search_kwargs={"k": 2})
    chain = {"context": retriever | joined, "question": RunnablePassthrough()} | prompt | llm
    for question in QUESTIONS:
        message = chain.invoke(question)
        facts = message.response_metadata["avengers"]
        print(f"{question}\n  {message.text}")
        print(f"  {reason(message)}; a prompt of about {facts['prompt_tokens']:,} tokens")


if __name__ == "__main__":
    main()
