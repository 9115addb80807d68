"""Artifacts on disk: the folder, its manifest, its file of arrays, and what is in them."""
