"""An agent whose tool loop keeps one model, the one that its task is worth.

Needs the package ``langchain``.

    python examples/langchain_agent.py
"""

from __future__ import annotations

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from stand_ins import models_or_stand_ins, reason

from avengers_langchain import AvengersChatModel

TASKS = (
    "What does the dictionary say about Canberra?",
    "Look up merge sort and write a Python function that merges two sorted lists.",
)


@tool
def dictionary(term: str) -> str:
    """Look a term up."""
    return f"there is an entry about {term!r}"


def main() -> None:
    """Give the agent two tasks."""
    llm = AvengersChatModel(alpha=0.4, models=models_or_stand_ins())
    agent = create_agent(llm, [dictionary])
    for task in TASKS:
        messages = agent.invoke({"messages": [HumanMessage(task)]})["messages"]
        answers = [message for message in messages if isinstance(message, AIMessage)]
        print(f"{task}\n  {answers[-1].text}")
        for turn, message in enumerate(answers, start=1):
            print(f"  turn {turn}: {reason(message)}")


if __name__ == "__main__":
    main()
