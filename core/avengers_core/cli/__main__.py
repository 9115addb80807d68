"""``python -m avengers_core.cli``."""

from avengers_core.cli import main

main(prog_name="avengers")
