"""What others may learn of a call: the log, and traces."""
