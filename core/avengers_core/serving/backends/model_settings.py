"""``model_settings=``: the one door for further settings of the backends that are made here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from avengers_core.errors import BackendConfigError
from avengers_core.serving.backends.wording import OF_ANSWERS, canonical, word_of

_SENT_ALONG = ("default_headers", "default_query", "extra_body")
"""May hold keys, so they are shown and written nowhere."""

_Penalty = Annotated[float, Field(ge=-2, le=2)]


class _OfAll(BaseModel):
    model_config = ConfigDict(extra="forbid")

    top_p: float = Field(default=1, gt=0, le=1)
    seed: int = 0
    stop: list[str] = []
    reasoning_effort: str = ""
    frequency_penalty: _Penalty = 0
    presence_penalty: _Penalty = 0
    service_tier: str = ""
    verbosity: str = ""
    default_headers: dict[str, str] = {}
    default_query: dict[str, str] = {}
    extra_body: dict[str, Any] = {}


class _OfOne(_OfAll):
    # Of all models these are settings of their own.
    temperature: float = Field(default=0, ge=0)
    max_tokens: int = Field(default=1, ge=1)
    timeout: float = Field(default=1, gt=0)
    max_retries: int = Field(default=0, ge=0)


class ModelSettings(dict[str, Any]):
    """Settings of all backends that are made here, and of single models in place of these.

    Args:
        given: setting -> value, and model id -> a dict of settings of that model.

    Attributes:
        of_all: those of all.
        of_one: model id -> those of that model.

    Raises:
        ValueError: there is no such setting, or a value that cannot be.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        if not isinstance(given, Mapping):
            raise ValueError(
                f"model_settings= maps settings to values, got a {type(given).__name__}"
            )
        super().__init__(given)
        of_models = {
            name: value
            for name, value in given.items()
            if name not in _OfOne.model_fields and isinstance(value, Mapping)
        }
        rest = {name: value for name, value in given.items() if name not in of_models}
        self.of_all = _checked(_OfAll, rest, "model_settings=")
        self.of_one = {
            model: _checked(_OfOne, own, f"model_settings[{model!r}]")
            for model, own in of_models.items()
        }

    def of(self, model: str) -> dict[str, Any]:
        """What holds of a model."""
        return {**self.of_all, **self.of_one.get(model, {})}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shown()!r})"

    def shown(self) -> dict[str, Any]:
        """These as they may be shown and written: without what may hold keys."""
        hidden = _without_sent_along(self.of_all)
        return hidden | {model: _without_sent_along(own) for model, own in self.of_one.items()}

    @property
    def holds_secrets(self) -> bool:
        """Whether there is something that may hold keys."""
        each = (self.of_all, *self.of_one.values())
        return any(name in own for own in each for name in _SENT_ALONG)


def split(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those that are said with each call, and those that a client is made with."""
    said = {name: value for name, value in settings.items() if name in OF_ANSWERS}
    return said, {name: value for name, value in settings.items() if name not in said}


def refuse_unknown(
    model: str, backend: object, settings: Collection[str], fields: Collection[str], protocol: str
) -> None:
    """Raise where a backend that is made here has no word for a setting.

    Args:
        model: whose backend it is.
        backend: whose class the error names.
        settings: the names of what is to be set.
        fields: what clients of the class are made with.
        protocol: that it speaks.

    Raises:
        BackendConfigError: there is one that it does not know.
    """
    for name in settings:
        (said,) = canonical({name: 0})
        known = word_of(said, protocol) is not None if name in OF_ANSWERS else name in fields
        if not known:
            raise BackendConfigError(
                f"{type(backend).__name__}, the backend of {model!r}, has no setting {name!r}; say "
                f"it of the models that have it, model_settings={{'...': {{{name!r}: ...}}}}"
            )


def _checked(kind: type[BaseModel], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    try:
        return kind(**given).model_dump(exclude_unset=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(kind.model_fields))
            also = "" if kind is _OfOne else ", and model ids with a dict of such settings"
            problem = f"has no setting {name!r}; it has {known}{also}"
            if kind is _OfAll and name in _OfOne.model_fields:
                problem = f"takes {name!r} of single models only; of all it is {name}="
        else:
            problem = f"{name}: {first['msg']}"
        raise ValueError(f"{where} {problem}") from None


def _without_sent_along(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in _SENT_ALONG}
