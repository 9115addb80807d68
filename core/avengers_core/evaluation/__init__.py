"""How good a router is on held-out records: metrics, baselines, reports, pictures, studies."""
