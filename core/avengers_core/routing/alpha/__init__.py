"""Alpha: every alpha at which decisions change, what is expected there, and what meets a target."""
