"""Studies: one setting after the other, each fitted and evaluated."""
