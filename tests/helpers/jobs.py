"""Source of jobs that other processes do."""

from __future__ import annotations

REFUSES = """
class Refused(Exception):
    def __init__(self, message, *, response):
        super().__init__(message)

def refuse(number, part):
    raise Refused("slow down", response=429)
"""
"""Raises an error that can be pickled, and not read back."""
