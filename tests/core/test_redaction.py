"""No key stays in the text of an error, wherever it stands."""

from __future__ import annotations

import base64
import functools
import html
import json
import pickle
import string
import traceback
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import openai
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from avengers_core.redaction import Secrets, describe, mask, names_key, redacted, secrets_of

ALNUM = string.ascii_letters + string.digits


def of(alphabet: str, least: int, most: int = 60) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most)


def shape(prefix: str, tail: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return tail.map(lambda text: prefix + text)


TOKEN = of(ALNUM + "-_", 20)
# Keys that are known by how they look. What has to go is what comes after the prefix.
SHAPED = {
    "openai": ("sk-", of(ALNUM + "-_", 8)),
    "openai project": ("sk-proj-", TOKEN),
    "anthropic": ("sk-ant-api03-", TOKEN),
    "openrouter": ("sk-or-v1-", of("0123456789abcdef", 64, 64)),
    "langfuse": ("pk-lf-", TOKEN),
    "groq": ("gsk_", of(ALNUM, 8)),
    "cerebras": ("csk-", of(ALNUM, 8)),
    "google": ("AIza", of(ALNUM + "-_", 35, 35)),
    "hugging face": ("hf_", of(ALNUM, 34, 34)),
    "x.ai": ("xai-", of(ALNUM, 40)),
    "perplexity": ("pplx-", of(ALNUM, 40)),
    "nvidia": ("nvapi-", TOKEN),
    "replicate": ("r8_", of(ALNUM, 37, 37)),
    "fireworks": ("fw_", of(ALNUM, 20)),
    "together": ("tgp_v1_", TOKEN),
    "langsmith": ("lsv2_pt_", of("0123456789abcdef_", 32)),
    "voyage": ("pa-", TOKEN),
    "aws": ("AKIA", of(string.ascii_uppercase + string.digits, 16, 16)),
    "databricks": ("dapi", of("0123456789abcdef", 32, 32)),
    "github": ("ghp_", of(ALNUM, 36, 36)),
    "jwt": ("eyJ", of(ALNUM, 16).map(lambda t: f"{t}.{t}.{t}")),
}
# Keys without a shape are known by what stands before them.
PLAIN = of(ALNUM, 7).map(lambda text: f"{text[:3]}7{text[3:]}")  # no word
AROUND = st.text(string.ascii_letters + " \n\t.,:;(){}[]", max_size=30)

PLACES = {
    "alone": "{}",
    "in a sentence": "the key {} is not valid.",
    "quoted": "the key '{}' or \"{}\" or `{}`",
    "after a line break in a repr": 'ValueError("no\\n{}\\tat all")',
    "in JSON": '{{"error": {{"message": "bad", "given": ["{}"]}}}}',
    "in JSON in JSON": '{{\\"given\\": \\"{}\\", \\"a\\": 1}}',
    "in escaped JSON": "\\u0022{}\\u0022",
    "in a URL": "https://host/v1/{}/models?x={}&y=1#{}",
    "in a quoted URL": "https%3A%2F%2Fhost%2Fv1%3Fx%3D{}%26y%3D1",
    "in brackets": "<{}> [{}] ({}) {{{}}}",
}
NAMED = {
    "assignment": "api_key={}",
    "keyword": "Client(api_key='{}', model='m')",
    "SecretStr": "Client(api_key=SecretStr('{}'))",
    "environment": "OPENAI_API_KEY={} TOGETHER_API_KEY: {}",
    "option": "run --api-key={} --hf-token={}",
    "sentence": "Incorrect API key provided: {}. You can find yours elsewhere",
    "header": "Authorization: Bearer {}",
    "basic header": "Authorization: Basic {} x",
    "other header": "X-Api-Key: {}, x-goog-api-key: {}, Ocp-Apim-Subscription-Key: {}",
    "headers": "{{'authorization': 'Bearer {}', 'x-api-key': '{}'}}",
    "headers of bytes": "[(b'authorization', b'Bearer {}'), (b'api-key', b'{}')]",
    "headers of lists": '{{"Authorization": ["Bearer {}"]}}',
    "bearer": "sent Bearer {} to the host",
    "JSON": '{{"apiKey": "{}", "accessToken":"{}", "model": "m"}}',
    "JSON in JSON": '{{\\"api_key\\": \\"{}\\"}}',
    "JSON in JSON in JSON": '{{\\\\\\"api_key\\\\\\": \\\\\\"{}\\\\\\"}}',
    "after a line break in a repr": "'no\\napi_key={}'",
    "item": "headers['X-Api-Key'] = \"{}\"",
    "parameter": "https://host/v1?key={}&api-version=1",
    "parameters": "https://host/v1?api-version=1&subscription-key={}&sig={}&token={}",
    "quoted parameter": "redirect=https%3A%2F%2Fhost%3Fapi_key%3D{}",
    "URL": "https://user:{}@host/v1 and redis://:{}@host:6379/0 and https://{}@host",
    "password": "password={} passwd: {} secret_key -> client_secret: {}",
}


def unfilled(place: str) -> str:
    return place.replace("{{", "{").replace("}}", "}")


@pytest.mark.parametrize("who", SHAPED)
@given(content=st.data())
def test_keys_of_a_known_shape_never_survive(who: str, content: st.DataObject) -> None:
    prefix, tails = SHAPED[who]
    tail = content.draw(tails)
    place = unfilled(PLACES[content.draw(st.sampled_from(sorted(PLACES)))])
    before, after = content.draw(AROUND), content.draw(AROUND)
    assume(tail[:8] not in before + after)
    # A letter that the key runs into leaves no sign where it begins.
    text = f"{before} {place.replace('{}', prefix + tail)} {after}"
    for shown in (redacted(text), describe(ValueError(text)), describe(text)):
        assert tail[:8] not in shown


@given(key=PLAIN, before=AROUND, after=AROUND)
def test_keys_with_a_name_never_survive(key: str, before: str, after: str) -> None:
    assume(key not in before + after)
    for place, named in NAMED.items():
        text = f"{before} {unfilled(named).replace('{}', key)} {after}"
        for shown in (redacted(text), describe(ValueError(text)), describe(text)):
            assert key not in shown, place


@given(
    secret=st.text(min_size=8).filter(lambda s: len("".join(s.split())) >= 8),
    before=st.text(max_size=9),
)
def test_keys_that_are_told_never_survive(secret: str, before: str) -> None:
    for form in (secret, quote(secret, safe=""), json.dumps(secret), json.dumps({"a": secret})):
        shown = describe(f"{before}{form}.", secret)
        assert " ".join(secret.split()) not in shown.replace("***", "\0")


@given(st.text() | st.text(string.ascii_letters + "'\"\\\\:=%&?@/ {}[]()-_", max_size=80))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once
    assert len(describe(text)) <= 300
    assert "\n" not in describe(text)


@given(key=PLAIN | TOKEN, before=of(ALNUM, 0, 5), after=of(ALNUM, 0, 5))
def test_a_known_key_goes_also_in_the_middle_of_a_word(key: str, before: str, after: str) -> None:
    assume(len(key) >= 8)
    shown = describe(ValueError(f"no {before}{key}{after}"), key)
    assert key not in shown


@pytest.mark.parametrize(
    "text",
    [
        "task-oriented-dialogue-systems 2024 and flask-sqlalchemy-2.0",
        "hf_hub_download() failed for xai-org/grok-1 and pplx-70b-chat",
        "max_tokens=500, prompt_tokens: 12, eos_token='</s>'",
        '{"key": "helpful"} and cache_key=abc',
        "http://my-secret.internal:8000/v1 refused the connection",
        "Basic authentication failed, a bearer token is needed",
        "api_key=None, api_key='', password=null",
        "KeyError: 'key'",
        "https://host/v1?api-version=2024-10-21&max_tokens=5",
        "mail me@host.org",
    ],
)
def test_what_is_no_key_stays(text: str) -> None:
    assert redacted(text) == text


def test_a_password_may_hold_anything() -> None:
    assert (
        redacted("""{'password': "it's, a \\"b\\" c", 'x': 1}""") == "{'password': \"***\", 'x': 1}"
    )
    assert redacted('{"a": 1, "password": "unfinis hed') == '{"a": 1, "password": "***'


# -- errors --


def test_an_error_is_one_short_line() -> None:
    assert describe(ValueError("two\nlines")) == "ValueError: two lines"
    assert describe("two\nlines") == "two lines"
    assert describe(TimeoutError()) == "TimeoutError"
    assert len(describe(ValueError("x" * 5000))) == 300
    text = describe(ValueError("api_key=abcdefgh123 refused; sk-abcdef12345 as well"))
    assert text == "ValueError: api_key=*** refused; sk-*** as well"


def test_told_keys_and_shapes() -> None:
    text = describe("bad\nkey sk-abcdef123456 and hunter2 and Bearer abcdefgh", "hunter2")
    assert text == "bad key sk-*** and *** and Bearer ***"
    assert describe("another otherwise", "other") == "another otherwise"
    assert describe("the other one", "other") == "the *** one"


def refused(text: str, headers: dict[str, str]) -> openai.APIStatusError:
    request = httpx.Request("POST", "http://host/v1", headers=headers)
    return openai.APIStatusError(text, response=httpx.Response(401, request=request), body=None)


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer the-marker-key"}, {"x-api-key": "the-marker-key"}],
)
def test_the_key_of_the_request_is_known(headers: dict[str, str]) -> None:
    error = refused("the-marker-key is not valid", headers)
    assert describe(error) == "APIStatusError: *** is not valid"


def test_a_server_without_a_key_leaves_its_words_alone() -> None:
    error = refused("none of them: no such model", {"Authorization": "Bearer none"})
    assert describe(error) == "APIStatusError: none of them: no such model"


def test_odd_errors_do_no_harm() -> None:
    class OddError(Exception):
        request = SimpleNamespace(headers=3)

    assert describe(OddError("x")) == "OddError: x"


@pytest.mark.parametrize(
    "piece", ["a:", "sk-", "eyJ-", "api_key", "\\", "'a'='", "%20", 'x=\\"', "://a", "(['a',"]
)
def test_long_texts_take_no_time(piece: str) -> None:
    text = f'password=\\"{piece * 50_000}'
    # A pattern that is tried anew at each character would not come to an end.
    assert len(describe(ValueError(text))) <= 320


def test_basic_authorization_is_found_without_its_header() -> None:
    sent = base64.b64encode(b"user:password").decode()
    assert redacted(f"sent Basic {sent}") == "sent Basic ***"


# -- what is known --

SPELLINGS = {
    "as it is": lambda s: s,
    "in a repr": lambda s: repr(s)[1:-1],
    "in a repr of bytes": lambda s: repr(s.encode())[2:-1],
    "in JSON": lambda s: json.dumps(s)[1:-1],
    "in JSON in JSON": lambda s: json.dumps(json.dumps(s))[3:-3],
    "in a URL": lambda s: quote(s, safe=""),
    "in a URL in a URL": lambda s: quote(quote(s, safe=""), safe=""),
    "in HTML": html.escape,
    "in base64": lambda s: base64.b64encode(s.encode()).decode(),
    "without what is not seen": lambda s: "".join(c for c in s if c.isprintable() and c != " "),
    "with more that is not seen": "\u200b".join,
}
VISIBLE = st.text(string.ascii_letters + string.digits + "-_.~+/=:@$!*'\"<>&", min_size=8)
ANY = st.builds(
    lambda a, unseen, b: f"a{a}{unseen}{b}z",
    VISIBLE,
    st.sampled_from(["", "\u200b", "\ufeff", "\xad", "\n", "\x7f", "\xa0", "\u2060"]),
    VISIBLE,
)


@given(secret=ANY, before=AROUND, after=AROUND)
def test_a_known_secret_goes_however_it_is_spelled(secret: str, before: str, after: str) -> None:
    known = Secrets([secret])
    for how, spell in SPELLINGS.items():
        spelled = spell(secret)
        shown = known.masked(f"{before} {spelled} {after}")
        assert spelled not in shown, how
        assert secret not in shown, how
        assert known.are_in(spelled), how


def test_short_secrets_and_placeholders_leave_words_alone() -> None:
    assert Secrets(["art", "none", "ollama"]).masked("art of the start, none, ollama") == (
        "*** of the start, none, ollama"
    )


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("http://u5er:p4ssword@host/v1", ["u5er", "p4ssword"]),
        ("u5er:p4ssword@host/v1", ["u5er", "p4ssword"]),
        ("http://t0kenabc@host/v1", ["t0kenabc"]),
        ("http://u:p4ss/w#rd?@host/v1", ["p4ss/w#rd?"]),
        ("http://u:p%40ssword@host/v1", ["p@ssword", "p%40ssword"]),
        ("http://host/u5er:p4ssword@x/v1", ["u5er", "p4ssword"]),
        ("http://host/v1#u5er:p4ssword@x", ["p4ssword"]),
        ("http://host/v1?api-version=1&code=c0defghi", ["c0defghi"]),
        ("http://host/v1?c0defghi", ["c0defghi"]),
        ("http://host/v1#token=fr4gment", ["fr4gment"]),
    ],
)
def test_what_is_secret_in_an_address(url: str, secrets: list[str]) -> None:
    known = secrets_of({"base_url": url})
    for secret in secrets:
        assert known.are_in(secret)
    assert not known.are_in("host /v1 api-version")


@pytest.mark.parametrize("url", ["http://host:80/v1/models/gemini@001", "https://host/v1?n=5"])
def test_addresses_without_secrets(url: str) -> None:
    assert not secrets_of({"base_url": url})


def test_secrets_of_objects_in_objects() -> None:
    class Client:
        def __init__(self) -> None:
            self.options = {"default_headers": {"X-Tenant": "tenant-secret"}, "seed": 1}
            self.token = SecretStr("a-secret-token")
            self.itself = self

        def call(self) -> None: ...

    inner = Client()
    for thing in (inner, [inner], inner.call, functools.partial(inner.call), lambda: inner):
        known = secrets_of(thing)
        assert known.are_in("tenant-secret")
        assert known.are_in("a-secret-token")
    assert "secret" not in repr(secrets_of(inner)).lower().replace("secrets(", "")
    with pytest.raises(TypeError):
        pickle.dumps(secrets_of(inner))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("default_headers", {"X-Tenant": "tenant-secret"}),
        ("api_keys", ["tenant-secret"]),
        ("urls", ["http://tenant-secret@host"]),
    ],
)
def test_a_second_name_of_an_object_tells_that_it_is_secret(name: str, value: Any) -> None:
    assert not secrets_of({"extra": value}).are_in("tenant-secret")
    assert secrets_of({"extra": value, name: value}).are_in("tenant-secret")


def test_where_secrets_cannot_be_found_out_nothing_is_shown() -> None:
    class Odd(dict[str, str]):
        def items(self) -> Any:
            raise RuntimeError

    known = secrets_of({"settings": Odd(a="b")})
    error = ValueError("anything at all")
    assert describe(error, known) == "ValueError: ***"
    assert not mask(error, known)


class SlottedError(Exception):
    """Its text is in a slot."""

    __slots__ = ("said",)

    def __init__(self, said: str) -> None:
        self.said = said

    def __str__(self) -> str:
        return f"the server said {self.said}"


class FrozenError(Exception):
    """It cannot be changed."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        vars(self).update(said=said, status_code=429)

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("immutable")


class SpeakingError(Exception):
    """It makes its text of nothing that it holds."""

    def __str__(self) -> str:
        return "the-marker-key"

    __repr__ = __str__


class SealedError(SpeakingError):
    """Nor may another class inherit from it."""

    def __init_subclass__(cls) -> None:
        raise TypeError("sealed")


@pytest.mark.parametrize("kind", [SlottedError, FrozenError, SpeakingError])
def test_an_error_that_cannot_be_changed_shows_no_secret_either(kind: Any) -> None:
    error = kind("the-marker-key")
    assert mask(error, "the-marker-key")
    with pytest.raises(kind) as raised:  # whoever looks for its class finds it
        raise error
    shown = str(raised.value) + repr(raised.value) + "".join(traceback.format_exception(error))
    assert "the-marker-key" not in f"{shown} {getattr(error, 'said', '')} {error.args}"
    assert type(error).__name__ == kind.__name__
    assert getattr(error, "status_code", 429) == 429
    with suppress(TypeError, AttributeError, pickle.PicklingError):
        assert b"the-marker-key" not in pickle.dumps(error)


@pytest.mark.parametrize("kind", [ValueError, KeyError, ConnectionError])
def test_an_error_of_python_itself_shows_no_secret_of_what_it_is_made_of(kind: Any) -> None:
    harmless = object()
    error = kind(SpeakingError(), harmless)
    assert mask(error, "the-marker-key")
    assert "the-marker-key" not in repr(error) + "".join(traceback.format_exception(error))
    assert type(error) is kind
    assert error.args[1] is harmless


def test_an_error_that_cannot_be_masked_is_no_cause() -> None:
    error = ValueError("outer the-marker-key")
    error.__cause__ = SealedError()
    error.__context__ = LookupError("the-marker-key")
    assert not mask(SealedError(), "the-marker-key")
    assert mask(error, "the-marker-key")
    assert str(error) == "outer ***"
    assert "the-marker-key" not in "".join(traceback.format_exception(error))


def test_all_that_an_error_is_made_of_is_masked() -> None:
    error = refused("the-marker-key is not valid", {"Authorization": "Bearer the-marker-key"})
    error.response = httpx.Response(
        401, text="no the-marker-key", headers={"x": "the-marker-key"}, request=error.request
    )
    error.body = {"said": ["the-marker-key"]}
    error.__dict__["__notes__"] = ["of the-marker-key"]
    assert mask(error)
    response = error.response
    assert (response.status_code, response.text, response.headers["x"]) == (401, "no ***", "***")
    assert error.body == {"said": ["***"]}
    assert "the-marker-key" not in repr(error) + "".join(traceback.format_exception(error))


# -- names --

HOLD_KEYS = """
    api_key apiKey API-Key OPENAI_API_KEY openai_api_key x-goog-api-key aws_access_key_id
    aws_secret_access_key subscription-key x-functions-key key private_key token hf_token
    accessToken authtoken x-amz-security-token sig X-Amz-Signature password passwd db.password
    client_secret auth bearer
    Authorization Proxy-Authorization Cookie credentials
"""
DO_NOT = """
    max_tokens token_count tokenizer eos_token padToken next_page_token monkey keyword keys
    cache_key metadata_key sigma model api
"""


def test_names_that_hold_keys_and_those_that_do_not() -> None:
    names = [*HOLD_KEYS.split(), "", *DO_NOT.split()]
    assert [name for name in names if names_key(name)] == HOLD_KEYS.split()
