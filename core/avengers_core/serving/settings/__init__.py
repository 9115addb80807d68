"""The settings that both plugins have: what they are called, take, refuse and mean."""

from avengers_core.serving.settings.answering import AnsweringSettings
from avengers_core.serving.settings.backends import BackendSettings
from avengers_core.serving.settings.base import CONFIG, given
from avengers_core.serving.settings.routing import OF_ROUTING, RoutingSettings
from avengers_core.serving.settings.serving import OF_A_CALL, ServingSettings
from avengers_core.serving.settings.watching import WatchingSettings

__all__ = [
    "CONFIG",
    "OF_A_CALL",
    "OF_ROUTING",
    "AnsweringSettings",
    "BackendSettings",
    "RoutingSettings",
    "ServingSettings",
    "WatchingSettings",
    "given",
]
