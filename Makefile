# make demo    the router at work, offline, no key        make test    all tests
# make check   lint, format, types                        make bench   speed, as ratios to the floor
# make docs    the pages of docs/ and the API as a site in docs/_build
# make fuzz    240,000 cases of damaged input (with FUZZ=1: 12,000)
# make matrix  histories of every kind of backend, read by every other in every mode (make test:
#              in one of the modes)
# make lowest  all tests, or those in TESTS, with the lowest versions that pyproject.toml allows
#              (OLDEST=python3.10)
# make newest  the same with the newest versions, on another Python (NEWEST=python3.13)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST ?= $(PYTHON)
NEWEST ?= $(PYTHON)
# The tests start this package in many processes, which need not compile it each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test fuzz matrix lowest newest check docs bench wheel clean

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py

test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto --dist worksteal -q

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: export FUZZ ?= 20
fuzz: $(VENV)/installed
	$(BIN)/python -m pytest -n auto -q -m fuzz tests/fuzz

matrix: export MATRIX := full
matrix: $(VENV)/installed
	$(BIN)/python -m pytest -n auto -q -k gone_on_with_by_all tests/providers

# Copied, not linked: newer releases of nltk refuse to read files that have two names.
lowest: RESOLUTION := lowest-direct
lowest: INTERPRETER := $(OLDEST)
newest: RESOLUTION := highest
newest: INTERPRETER := $(NEWEST)
lowest newest: $(VENV)/installed
	$(BIN)/uv venv --quiet --clear --python $(INTERPRETER) $(VENV)-$@
	$(BIN)/uv pip install --quiet --python $(VENV)-$@/bin/python --resolution $(RESOLUTION) \
		--link-mode copy --editable '.[all,test]'
	$(VENV)-$@/bin/python -m pytest -n auto --dist worksteal -q $(TESTS)

docs: $(VENV)/installed
	$(BIN)/sphinx-build -n -W --keep-going -q -b html docs docs/_build

bench: $(VENV)/installed
	$(BIN)/python tests/benchmarks/bench.py

wheel: $(VENV)/installed
	$(BIN)/python -m build --outdir dist .

clean:
	rm -rf $(VENV) $(VENV)-* dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
