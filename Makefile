# Every target does its own set-up: a virtual environment in .venv and the pinned installation.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: demo test test-slow bench lint install clean docs

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,docs,esm,launchers,mlflow,notebooks]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps hydra-ray-launcher
	touch $(STAMP)

# The main job: digits, three teachers, one Bayesian student, a report.
demo: $(STAMP)
	$(BIN)/mtbkd hydra.run.dir=outputs/demo

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Tests that need the shared data sets find them by MTBKD_DATA and skip with a reason where it is unset.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 -m "not slow and not compile"
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -m "compile and not slow"

test-slow: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -m slow

# The documentation, in site/: open site/index.html. Warnings are errors.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --clean
	@echo site/index.html

# Ours and the peers on the same posterior, turn by turn: the README's table. All: make bench; one of them again, or on a
# GPU: make bench BENCH="--only hmc --device cuda".
.venv/peers: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	touch $@

bench: .venv/peers
	$(BIN)/python -m experiments.benchmarks $(BENCH)

clean:
	rm -rf .venv dist build site
