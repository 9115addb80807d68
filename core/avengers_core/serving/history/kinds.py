"""What each kind of backend accepts in a history that others wrote.

Every rule is one that the provider's documentation gives or that users met as a refused request;
``tests/providers/strict_server.py`` holds the same rules as a server, each with its source.
"""

from __future__ import annotations

import re
from dataclasses import replace

from avengers_core.serving.history.dialects import Dialect, is_gemini_3_or_later

_PICTURES = frozenset({"image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp"})
_GEMINI_PICTURES = frozenset(
    {"image/png", "image/jpeg", "image/jpg", "image/webp", "image/heic", "image/heif"}
)
_PDF = frozenset({"application/pdf"})
_SOUNDS = frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/mp3", "audio/mpeg"})

OPENAI = Dialect(
    "openai",
    "openai",
    frozenset({"openai", "azure", "azure_openai"}),
    call_id=r"[^\s]{1,40}",
    beside_texts=frozenset({"prompt_cache_breakpoint"}),
    images=_PICTURES,
    files=_PDF,
    audio=_SOUNDS,
    video=frozenset(),
    upload=r"file-",
)
OPENAI_RESPONSES = replace(
    OPENAI,
    name="openai responses",
    protocol="openai responses",
    call_id=r"[^\s]{1,64}",
    files=None,
    audio=frozenset(),
    by_url=frozenset({"image", "file"}),
    in_results=frozenset({"image", "file"}),
)
OPENAI_COMPATIBLE = Dialect(
    # What most servers behind OpenAI's protocol take: chat templates want one system message, at
    # the beginning, and their parsers know less than OpenAI's.
    "openai compatible",
    "openai compatible",
    call_id=r"[a-zA-Z0-9_-]{1,40}",
    images=_PICTURES,
    files=_PDF,
    audio=_SOUNDS,
    video=frozenset(),
    text_lists=False,
    system_in_middle="never",
    one_system=True,
    empty_messages=False,
    begins_with_user=True,
    ends_with_assistant=False,  # for those that think it is no answer to go on with
    broken_arguments=False,
)
OPENAI_COMPATIBLE_REASONING = replace(
    OPENAI_COMPATIBLE, name="openai compatible, reasoning_content", foreign_calls="told"
)
OPENAI_COMPATIBLE_SIGNED = replace(
    OPENAI_COMPATIBLE, name="openai compatible, signed calls", foreign_calls="told in the loop"
)
MISTRAL = replace(
    OPENAI_COMPATIBLE,
    name="mistral",
    providers=frozenset({"mistral", "mistralai"}),
    call_id=r"[a-zA-Z0-9]{9}",
    speakers=False,
    alternates=True,
    user_after_tool=False,
    text_with_calls=False,
)
XAI = replace(OPENAI_COMPATIBLE, name="openai compatible, xai", calls_with_text=True)
PERPLEXITY = replace(
    OPENAI_COMPATIBLE,
    name="openai compatible, perplexity",
    files=frozenset(),
    audio=frozenset(),
    alternates=True,
    calls=False,
)
ANTHROPIC = Dialect(
    "anthropic",
    "anthropic",
    frozenset({"anthropic", "anthropic_vertex", "google_anthropic_vertex"}),
    call_id=r"[a-zA-Z0-9_-]{1,128}",
    tool_name=r"[a-zA-Z0-9_-]{1,128}",
    beside_texts=frozenset({"cache_control", "citations"}),
    images=_PICTURES,
    files=_PDF,
    audio=frozenset(),
    video=frozenset(),
    by_url=frozenset({"image", "file"}),
    upload=r"file_",
    in_results=frozenset({"image", "file"}),
    errors_in_text=True,
    system_in_middle="never",
    empty_messages=False,
    begins_with_user=True,
    ends_with_assistant=False,
    broken_arguments=False,
    cache_marks=4,
)
ANTHROPIC_THINKING = replace(
    ANTHROPIC, name="anthropic, thinking", foreign_calls="told in the loop"
)
BEDROCK = replace(
    ANTHROPIC,
    name="bedrock",
    protocol="bedrock",
    providers=frozenset({"bedrock", "bedrock_converse", "amazon_bedrock"}),
    call_id=r"[a-zA-Z0-9_-]{1,64}",
    tool_name=r"[a-zA-Z0-9_-]{1,64}",
    beside_texts=frozenset(),
    file_name=r"[a-zA-Z0-9()\[\]-]+(?: [a-zA-Z0-9()\[\]-]+)*",
    text_with_files=True,
    by_url=frozenset(),
    upload=None,
    alternates=True,
    joins_own=True,
    calls_need_tools=True,
)
GEMINI = Dialect(
    "gemini",
    "gemini",
    frozenset({"google_genai", "google_vertexai", "google-genai"}),
    tool_name=r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}",
    images=_GEMINI_PICTURES,
    files=_PDF,
    by_url=frozenset({"image", "file", "audio", "video"}),
    upload=r"gs://|https://generativelanguage\.googleapis\.com/|files/",
    in_results=frozenset({"image", "file", "audio", "video"}),
    system_in_middle="never",
    one_system=True,
    empty_messages=False,
    begins_with_user=True,
    alternates=True,
    ends_with_assistant=False,
    broken_arguments=False,
)
OTHER = Dialect(
    # Nothing is known of it: what others wrote becomes plain, all else goes as it is.
    "other",
    by_url=frozenset({"image", "file", "audio", "video"}),
    upload=r"",
    in_results=frozenset({"image", "file", "audio", "video"}),
)
TEXT_ONLY = replace(
    OTHER,
    name="text only",
    images=frozenset(),
    files=frozenset(),
    audio=frozenset(),
    video=frozenset(),
    upload=None,
    in_results=frozenset(),
)

CACHE_MARKS = frozenset({"cache_control"})
"""What stands beside a text for gateways to Anthropic's models, which most other servers refuse."""
OLLAMA = "http://localhost:11434"
"""Where Ollama is by default."""
MOONSHOT = "https://api.moonshot.ai/v1"
"""Where Kimi is."""
# They fetch no pictures: https://platform.moonshot.ai/docs/guide/use-kimi-vision-model
_FETCHES_NONE = re.compile(r":11434|\.moonshot\.(?:ai|cn)")
_PREFILLED = re.compile(r"claude-(?:[123]|(?:opus|sonnet|haiku)-4(?:-[015])?(?:-\d{8})?$)")
_REASONS = re.compile(
    r"deepseek-(?:reasoner|v3\.2|v[4-9])|kimi-k2(?:\.\d+)?-thinking|kimi-k(?:2\.[5-9]|[3-9])"
    r"|mimo-v|glm-(?:4\.[6-9]|[5-9])-thinking",
    re.IGNORECASE,
)
# By their chat templates, DeepSeek's rule for its first reasoner, and Gemini's own protocol.
_IN_TURN = re.compile(r"gemma|llama-?2|deepseek-reasoner|gemini", re.IGNORECASE)
# Their own templates have no role for the results of tools; who serves them with tools has another.
_NO_TOOLS = re.compile(r"gemma|llama-?2", re.IGNORECASE)
# Only gateways serve it, or are there: https://openrouter.ai/docs/guides/best-practices/prompt-caching
_TAKES_MARKS = re.compile(r"claude|openrouter\.ai", re.IGNORECASE)
_GROK = re.compile(r"grok", re.IGNORECASE)
_SONAR = re.compile(r"(?:^|/)(?:sonar|r1-1776)", re.IGNORECASE)
_MISTRAL = re.compile(r"(?:mi|mini|code|dev|magi|math)stral|(?:mix|pix|vox)tral", re.IGNORECASE)


def anthropic_dialect(model: str, thinking: bool) -> Dialect:
    """What a Claude accepts.

    Args:
        model: Anthropic's name of it. Up to Claude 4.5 they go on with an answer that the caller
            began; later ones, and those that think first, refuse it.
        thinking: whether it is told to think first with a budget of its own (``"enabled"``), and
            then a loop of tool calls has to begin with its own thinking. ``"adaptive"`` asks for
            no such thing.
    """
    if thinking:
        return ANTHROPIC_THINKING
    prefilled = _PREFILLED.search(model.lower()) is not None
    return replace(ANTHROPIC, ends_with_assistant=True) if prefilled else ANTHROPIC


def compatible_dialect(model: str, address: str | None = None) -> Dialect:
    """What a model behind an OpenAI-compatible endpoint accepts.

    Args:
        model: its name.
        address: of the endpoint, which tells Ollama's by its port, Moonshot's and OpenRouter's by
            theirs.
    """
    if address and _FETCHES_NONE.search(address):
        return replace(compatible_dialect(model), by_url=frozenset())
    if _TAKES_MARKS.search(f"{model} {address}"):
        return replace(_served(model), beside_texts=CACHE_MARKS)
    return _served(model)


def _served(model: str) -> Dialect:
    known = OPENAI_COMPATIBLE
    if _REASONS.search(model):
        known = OPENAI_COMPATIBLE_REASONING
    elif is_gemini_3_or_later(model):
        known = OPENAI_COMPATIBLE_SIGNED
    elif _MISTRAL.search(model):
        return MISTRAL
    elif _SONAR.search(model):
        return PERPLEXITY
    elif _GROK.search(model):
        return XAI
    if not _IN_TURN.search(model):
        return known
    return replace(known, alternates=True, calls_need_tools=bool(_NO_TOOLS.search(model)))
