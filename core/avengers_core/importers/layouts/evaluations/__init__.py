"""Layouts of programs that evaluate models."""
