"""Routing and embedding whole files: one output file for each part of the input.

In constant memory, by one process, several, or a Ray cluster, with the same result; a job that was
killed goes on.
"""
