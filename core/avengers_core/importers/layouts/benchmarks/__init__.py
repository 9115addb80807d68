"""Layouts of public benchmarks and of routers."""
