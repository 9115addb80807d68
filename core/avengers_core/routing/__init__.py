"""From a query to a decision: the router, its limits, alpha, and the scorers."""
