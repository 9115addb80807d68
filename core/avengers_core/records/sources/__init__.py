"""One door for what people have: paths, patterns, folders, addresses, streams, iterables.

The kind of a file (JSON lines, a JSON array, a table of separated values, Parquet, a log of
calls; plain or gzip)
is told by its content.
"""
