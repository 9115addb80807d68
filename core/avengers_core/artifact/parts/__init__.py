"""The parts of an artifact: arrays by name, and whether all fit each other."""
