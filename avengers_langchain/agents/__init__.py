"""LangChain's own ways of routing: middleware of agents, and a decision model."""
