"""About how long media in a prompt are, in tokens: enough to tell what fits a window."""

from __future__ import annotations

from avengers_core.serving.history.turns import MediaKind

# An image of a megapixel is about 750 tokens (OpenAI), 1,300 (Anthropic), 1,100 (Gemini); a page of
# a PDF 1,500 to 3,000 and some 60 kB; a second of sound 32 (Gemini) and some 16 kB, a second of
# video 290 and some 250 kB.
_OF_UNKNOWN_SIZE: dict[MediaKind, int] = {
    "image": 1_000,
    "file": 3_000,
    "audio": 1_000,
    "video": 10_000,
}
_BYTES_PER_TOKEN: dict[MediaKind, int] = {"file": 30, "audio": 500, "video": 1_000}


def media_tokens(kind: MediaKind, size: int | None = None) -> int:
    """Tokens of a picture, file, sound or video.

    Args:
        kind: which of these.
        size: bytes, where that is known.
    """
    if size is None or kind not in _BYTES_PER_TOKEN:
        return _OF_UNKNOWN_SIZE[kind]
    return max(size // _BYTES_PER_TOKEN[kind], 1)


def bytes_of_base64(data: str | bytes) -> int:
    """How many bytes are behind a text in base64."""
    return len(data) * 3 // 4
