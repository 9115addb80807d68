"""One conversation, many kinds of backend: what each of them accepts in a history, and how a
history that another one wrote is carried over to it. The plugins read and write the messages."""

from avengers_core.serving.history.dialects import (
    NO_SIGNATURE,
    Dialect,
    Target,
    is_gemini_3_or_later,
)
from avengers_core.serving.history.kinds import (
    ANTHROPIC,
    ANTHROPIC_THINKING,
    BEDROCK,
    GEMINI,
    MISTRAL,
    OLLAMA,
    OPENAI,
    OPENAI_COMPATIBLE,
    OPENAI_COMPATIBLE_REASONING,
    OPENAI_COMPATIBLE_SIGNED,
    OPENAI_RESPONSES,
    OTHER,
    PERPLEXITY,
    TEXT_ONLY,
    anthropic_dialect,
    compatible_dialect,
)
from avengers_core.serving.history.leavings import readable, sources, without_thoughts
from avengers_core.serving.history.rules import carried_over
from avengers_core.serving.history.turns import Call, Media, MediaKind, Part, Raw, Role, Turn

__all__ = [
    "ANTHROPIC",
    "ANTHROPIC_THINKING",
    "BEDROCK",
    "GEMINI",
    "MISTRAL",
    "NO_SIGNATURE",
    "OLLAMA",
    "OPENAI",
    "OPENAI_COMPATIBLE",
    "OPENAI_COMPATIBLE_REASONING",
    "OPENAI_COMPATIBLE_SIGNED",
    "OPENAI_RESPONSES",
    "OTHER",
    "PERPLEXITY",
    "TEXT_ONLY",
    "Call",
    "Dialect",
    "Media",
    "MediaKind",
    "Part",
    "Raw",
    "Role",
    "Target",
    "Turn",
    "anthropic_dialect",
    "carried_over",
    "compatible_dialect",
    "is_gemini_3_or_later",
    "readable",
    "sources",
    "without_thoughts",
]
