"""The pictures of an evaluation and of an artifact; needs the extra ``plot``."""
