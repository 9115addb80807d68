"""Commands that bring in records: asked for, imported, graded, learned from, worth asking for."""
