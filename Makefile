# The two commands are `make demo` and `make test`; each makes .venv when it is missing or older than what it is made from.
BIN := .venv/bin
# SLOW=1 takes in the tests that need over twenty seconds; CI does, by CLIPVIZ_REQUIRE_ALL=1.
SLOW ?= $(CLIPVIZ_REQUIRE_ALL)
QUICK := $(if $(filter-out 0,$(SLOW)),, and not slow)
# So many test files at a time, a thread each; what starts a cluster or a browser of its own runs after them, alone.
JOBS ?= 2

.PHONY: help demo test test-all lint lab bench

help:
	@echo "make demo      where a CLIP looks, on pictures that come with the packages: writes one HTML page"
	@echo "make test      ruff, mypy and the quick tests"
	@echo "make test-all  the slow tests too"
	@echo "make lint      ruff and mypy"
	@echo "make lab       JupyterLab with the first notebook"
	@echo "make bench     every benchmark, each against a named peer"

.venv/.stamp: pyproject.toml constraints.txt
	@PYTHON="$(PYTHON)" sh scripts/make_venv.sh

demo: .venv/.stamp
	@$(BIN)/clipviz demo --out out/demo

# Both parts run whatever the first says; 5 is pytest's word for no tests, where ARGS names some of one part only.
test: lint
	@failed=0; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not alone$(QUICK)" $(ARGS) \
	    || [ $$? -eq 5 ] || failed=1; \
	$(BIN)/python -m pytest -m "alone$(QUICK)" $(ARGS) || [ $$? -eq 5 ] || failed=1; \
	exit $$failed

test-all:
	@$(MAKE) --no-print-directory test SLOW=1

lint: .venv/.stamp
	$(BIN)/ruff check .
	$(BIN)/mypy

lab: .venv/.stamp
	$(BIN)/jupyter lab notebooks/01_gradcam.ipynb

bench: .venv/.stamp
	@set -e; for file in benchmarks/*.py; do echo "$$file"; $(BIN)/python "$$file"; done
