"""Names that usages have and scores have not: costs that would count for nobody."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from avengers_core.records.names import shown

logger = logging.getLogger(__name__)


@dataclass
class UsageNames:
    """Where usages stand under other names than the scores beside them.

    A usage beside scores that all have their own says nothing: a judge costs something, too.

    Attributes:
        others: names of usages without a score, each with the models beside it that are scored and
            have no usage, both in order of first appearance.
    """

    others: dict[str, dict[str, None]] = field(default_factory=dict)

    def add(self, scores: Collection[str], usages: Mapping[str, Any]) -> None:
        """Note a record's names."""
        if all(name in scores for name in usages):
            return
        without = dict.fromkeys(model for model in scores if usages.get(model) is None)
        for name in usages if without else ():
            if name not in scores:
                self.others.setdefault(name, {}).update(without)

    def __ior__(self, more: UsageNames) -> UsageNames:
        for name, without in more.others.items():
            self.others.setdefault(name, {}).update(without)
        return self

    def notice(self, scored: Collection[str]) -> None:
        """Log those that no score has in any record.

        Args:
            scored: all names that scores have.
        """
        found = {name: beside for name, beside in self.others.items() if name not in scored}
        if found:
            without = dict.fromkeys(model for beside in found.values() for model in beside)
            logger.warning(
                "the usages of %s count for no model, as no score has these names; beside them the "
                "scores of %s have no usage",
                shown(found),
                shown(without),
            )
