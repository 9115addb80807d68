"""Pictures, files, sound and video in content blocks, in the form of any provider."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Literal

from avengers_core.serving.history import Dialect, Media, decoded

_Kind = Literal["image", "file", "audio", "video"]
_KINDS: dict[str, _Kind] = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "image_generation_call": "image",
    "file": "file",
    "input_file": "file",
    "document": "file",
    "audio": "audio",
    "input_audio": "audio",
    "video": "video",
    "video_url": "video",
}
_DATA_URL = re.compile(r"data:([^;,]*)[^,]*;base64,(.*)", re.DOTALL)
# What the client of a kind takes in its provider's own form, beside LangChain's standard blocks.
_OPENAI = {"image_url", "input_audio", "file"}
_NATIVE: dict[str, set[str]] = {
    "openai": _OPENAI,
    "openai compatible": {*_OPENAI, "video_url"},
    "openai responses": {"image_url", "input_text", "input_image", "input_file"},
    "anthropic": {"image", "document", "search_result", "tool_result", "container_upload"},
    "gemini": {"media", "image_url"},
}
_STANDARD = {"type", "base64", "url", "file_id", "mime_type", "filename", "extras", "id", "index"}


def goes_as_it_is(block: Mapping[str, Any], dialect: Dialect) -> bool:
    """Whether the client of a kind of backend takes a block of the caller's in this form."""
    protocol = dialect.protocol
    if protocol == "other":
        return True
    kind = block.get("type")
    if kind == "text":
        return block.keys() <= {"type", "text", *dialect.beside_texts}
    if kind == "image" and "source" in block:
        return protocol in ("anthropic", "bedrock")
    if kind in ("file", "document") and ("file" in block or "source" in block):
        return kind in _NATIVE.get(protocol, ())
    if kind in _NATIVE.get(protocol, ()) and kind not in ("image", "file"):
        return True
    if kind not in ("image", "file", "audio", "video") or not _is_standard(block):
        return False
    if protocol != "openai compatible":
        return True
    # Some clients hand on what they are given, or leave it out; and servers want a name.
    return kind != "image" and not (kind == "file" and "base64" in block and not _name(block))


def media_of(block: Mapping[str, Any]) -> Media | str | None:
    """The media in a block, text where it is a text's file; None where it holds none."""
    kind = block.get("type")
    if kind == "text-plain":
        return _text(block.get("text"), block.get("title"))
    if kind == "media":  # Gemini's
        return _media(
            _kind_of(block.get("mime_type")),
            block.get("mime_type"),
            data=block.get("data"),
            upload=block.get("file_uri"),
        )
    if kind == "file_data":
        mime = block.get("mime_type")
        return _media(_kind_of(mime), mime, upload=block.get("file_uri"))
    if kind not in _KINDS:
        return None
    if isinstance(block.get("source"), Mapping):
        return _anthropic(_KINDS[kind], block)
    if kind == "image_generation_call":
        data = block.get("result")
        return _media("image", "image/png", data=data) if data else None
    told = _openai(block)
    media = told if told is not None else _standard(_KINDS[kind], block)
    return _as_text(media) if isinstance(media, Media) else media


def _is_standard(block: Mapping[str, Any]) -> bool:
    return block.keys() <= _STANDARD and any(k in block for k in ("base64", "url", "file_id"))


def _standard(kind: _Kind, block: Mapping[str, Any]) -> Media | str | None:
    """LangChain's blocks, new (``base64``) and old (``source_type``)."""
    if block.get("source_type") == "text":
        return _text(block.get("text"), _name(block))
    upload = block.get("file_id") or (block.get("id") if block.get("source_type") == "id" else None)
    return _media(
        kind,
        block.get("mime_type"),
        data=block.get("base64") or block.get("data"),
        url=block.get("url"),
        upload=upload,
        name=_name(block),
    )


def _openai(block: Mapping[str, Any]) -> Media | str | None:
    kind = block["type"]
    if kind in ("image_url", "video_url"):
        given = block.get(kind)
        url = given.get("url") if isinstance(given, Mapping) else given
        return _media(_KINDS[kind], None, url=url)
    if kind == "input_image":
        return _media("image", None, url=block.get("image_url"), upload=block.get("file_id"))
    if kind == "input_audio" and isinstance(sound := block.get("input_audio"), Mapping):
        return _media("audio", f"audio/{sound.get('format', 'wav')}", data=sound.get("data"))
    inner = block.get("file") if kind == "file" else block if kind == "input_file" else None
    if not isinstance(inner, Mapping):
        return None
    url = inner.get("file_data") or inner.get("file_url")
    return _media("file", None, url=url, upload=inner.get("file_id"), name=inner.get("filename"))


def _anthropic(kind: _Kind, block: Mapping[str, Any]) -> Media | str | None:
    source = block["source"]
    name = block.get("title")
    mime = source.get("media_type")
    if source.get("type") == "text":
        return _text(source.get("data"), name)
    if source.get("type") == "content":
        content = source.get("content")
        blocks = [content] if isinstance(content, str) else content or ()
        texts = [b if isinstance(b, str) else b.get("text", "") for b in blocks]
        return _text("\n".join(texts), name)
    upload = source.get("file_id")
    return _media(
        kind, mime, data=source.get("data"), url=source.get("url"), upload=upload, name=name
    )


def _media(
    kind: _Kind,
    mime: str | None,
    *,
    data: Any = None,
    url: Any = None,
    upload: Any = None,
    name: str | None = None,
) -> Media | str | None:
    if isinstance(data, bytes):
        data = base64.b64encode(data).decode()
    if isinstance(url, str) and (found := _DATA_URL.fullmatch(url)):
        mime, data, url = found[1] or mime, found[2], None
    if data is None and url is None and upload is None:
        return None
    return Media(kind, mime, data=data, url=url, upload=upload, name=name)


def _as_text(media: Media) -> Media | str:
    """A file of text as text, which every kind of backend reads."""
    mime = media.mime or ""
    if media.kind != "file" or media.data is None or not mime.startswith(("text/", "application/")):
        return media
    if not mime.startswith("text/") and mime not in ("application/json", "application/xml"):
        return media
    return _text(decoded(media.data), media.name) or media


def _text(text: Any, name: Any) -> str | None:
    if not isinstance(text, str) or not text.strip():
        return None
    return f"{name}:\n{text}" if name else text


def _name(block: Mapping[str, Any]) -> str | None:
    extras = block.get("extras") or block.get("metadata") or {}
    for place in (block, extras):
        for key in ("filename", "title", "name"):
            if isinstance(name := place.get(key), str):
                return name
    return None


def _kind_of(mime: Any) -> _Kind:
    kind = str(mime or "").partition("/")[0]
    return kind if kind in ("image", "audio", "video") else "file"  # type: ignore[return-value]
