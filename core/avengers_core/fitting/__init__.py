"""From records to an artifact: clusters, sums, and what is chosen by cross-validation."""
