"""Layouts of programs that trace calls of models, joined with feedback."""
