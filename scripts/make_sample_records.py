"""Write ``examples/data/sample.jsonl``: made-up records to try things on.

The queries come from templates; the scores are drawn at random from skills made up for four
imaginary models. They show how things work, and say nothing about any real model.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

OUTPUT = Path(__file__).parent.parent / "examples" / "data" / "sample.jsonl"
PER_TOPIC = 60

# model -> (USD per thousand characters of query, USD per call)
PRICES = {
    "made-up/tiny": (0.00002, 0.0001),
    "made-up/coder": (0.0001, 0.0006),
    "made-up/scholar": (0.0002, 0.001),
    "made-up/giant": (0.0015, 0.008),
}
# topic -> chance of a right answer of tiny, coder, scholar, giant
SKILLS = {
    "made-up-capitals": (0.90, 0.88, 0.95, 0.97),
    "made-up-arithmetic": (0.55, 0.85, 0.65, 0.93),
    "made-up-python": (0.30, 0.88, 0.45, 0.90),
    "made-up-history": (0.50, 0.45, 0.90, 0.88),
    "made-up-letters": (0.80, 0.60, 0.78, 0.85),
    "made-up-proofs": (0.10, 0.25, 0.30, 0.75),
}
# Separated by commas.
_WORDS = {
    "country": "France, Peru, Kenya, Norway, Japan, Egypt, Chile, Nepal, Cuba, Fiji, Iran, Oman",
    "thing": "list, string, dictionary, tree, queue, matrix, graph, file, stack, set",
    "verb": "sort, reverse, merge, filter, count, search, flatten, rotate, copy, split",
    "era": "Roman, Ottoman, Mughal, Aztec, Byzantine, Persian, Inca, Ming, Habsburg, Viking",
    "event": "tax, law, trade, army, religion, harbour, road, coinage, census, calendar",
    "person": "colleague, landlord, teacher, neighbour, customer, doctor, cousin, editor",
    "matter": "a parcel, a heater, a birthday, the holidays, a refund, a move",
    "object": "odd, integers, primes, triangles, groups, sequences, graphs, polynomials, sets",
    "property": "bounded, finite, even, closed, convex, connected, infinite, unique",
}
WORDS = {kind: words.split(", ") for kind, words in _WORDS.items()}
TEMPLATES = {
    "made-up-capitals": (
        "What is the capital city of {country}?",
        "Name the capital and the largest river of {country}.",
        "Is {country} larger in area than {country2}?",
    ),
    "made-up-arithmetic": (
        "What is {a} times {b} plus {c}?",
        "A shop sells {a} apples at {b} cents each and {c} pears. How much do the apples cost?",
        "Compute {a} percent of {b}, then add {c}.",
    ),
    "made-up-python": (
        "Write a Python function that can {verb} a {thing} and returns the result.",
        "def {verb}_{thing}(x): # complete this function with a docstring and tests",
        "Why does my code raise a TypeError when I {verb} the {thing}? Refactor it.",
    ),
    "made-up-history": (
        "How did the {era} empire organise its {event}, and what changed later?",
        "Who reformed the {event} of the {era} empire?",
        "Compare the {event} under {era} rule with that of the {era2} period.",
    ),
    "made-up-letters": (
        "Write a polite letter to my {person} about {matter}.",
        "Draft a short and friendly email to a {person} concerning {matter}.",
        "Make this message to my {person} about {matter} sound kinder.",
    ),
    "made-up-proofs": (
        "Prove that the set of all {property} {object} is {property2}.",
        "Show by induction that every {property} family of {object} has a {property2} member.",
        "Give a rigorous proof or a counterexample: {object} are {property} if {property2}.",
    ),
}


def main() -> None:
    rng = random.Random(42)
    lines = []
    for topic, skills in SKILLS.items():
        seen: set[str] = set()
        while len(seen) < PER_TOPIC:
            words = {key: rng.choice(options) for key, options in WORDS.items()}
            words |= {f"{key}2": rng.choice(options) for key, options in WORDS.items()}
            numbers = {key: rng.randint(2, 999) for key in "abc"}
            query = rng.choice(TEMPLATES[topic]).format(**words, **numbers)
            if query in seen:
                continue
            seen.add(query)
            # One hidden difficulty for all models: what is hard for one is hard for the others.
            luck = rng.random()
            record = {
                "query": query,
                "records": {
                    model: float(0.7 * luck + 0.3 * rng.random() < skill)
                    for model, skill in zip(PRICES, skills, strict=True)
                },
                "usages": {
                    model: {"cost": round(per_call + per_text * len(query) / 1000, 8)}
                    for model, (per_text, per_call) in PRICES.items()
                },
                "dataset": topic,
                "index": len(seen) - 1,
            }
            lines.append(json.dumps(record))
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{OUTPUT}: {len(lines)} made-up records")


if __name__ == "__main__":
    main()
