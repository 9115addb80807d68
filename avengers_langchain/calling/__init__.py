"""One call: its arguments, how it is made, and what its answer says."""
