"""One pass over records of any size: what is read, what counts, who does the work."""
