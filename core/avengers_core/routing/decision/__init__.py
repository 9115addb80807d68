"""Decisions: who could answer a query, what is expected of each, and how that is told."""

from __future__ import annotations

from avengers_core.routing.decision.candidates import Candidate, ClusterVote, Exploration
from avengers_core.routing.decision.decision import Basis, RoutingDecision

__all__ = ["Basis", "Candidate", "ClusterVote", "Exploration", "RoutingDecision"]
