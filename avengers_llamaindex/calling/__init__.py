"""How a backend is called, and what its answer says."""
