"""The router in place of a chat model: a chain that stays as it is.

python examples/langchain_drop_in.py
"""

from __future__ import annotations

from langchain_core.prompts import ChatPromptTemplate
from stand_ins import models_or_stand_ins, reason

from avengers_langchain import AvengersChatModel

QUESTIONS = (
    "What is the capital of Australia?",
    "Prove that the sum of two odd numbers is even.",
    "Write a Python function that merges two sorted lists.",
)


def main() -> None:
    """Ask three questions at two values of alpha."""
    llm = AvengersChatModel(alpha=0.4, models=models_or_stand_ins())
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer in one sentence."), ("human", "{question}")]
    )
    chain = prompt | llm
    for question in QUESTIONS:
        message = chain.invoke({"question": question})
        print(f"{question}\n  {message.text}\n  {reason(message)}")

    print("\nThe same, where only the best will do (alpha=1):")
    best = prompt | llm.bind(alpha=1.0)
    for message in best.batch([{"question": question} for question in QUESTIONS]):
        print(f"  {reason(message)}")


if __name__ == "__main__":
    main()
