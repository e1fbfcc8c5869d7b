# Everything runs in a virtual environment of its own. `make demo` and `make test` set it up when needed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint format endurance benchmark browser docs clean

demo: $(VENV)/.demo
	$(BIN)/wsol demo

test: $(VENV)/.dev browser lint
	$(BIN)/pytest -n 2

# The long part of the tests: thousands of hostile files, kills, full disks, a cluster that loses a node.
endurance: $(VENV)/.dev
	$(BIN)/pytest -m endurance -rA

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(VENV)/.dev
	$(BIN)/python benchmarks/localize.py
	$(BIN)/python benchmarks/sweep.py
	$(BIN)/python -m benchmarks.evaluate_maps
	$(BIN)/python benchmarks/train_step.py

# The documentation site, in site/; a warning is an error. `python -m docs.make` draws its figures anew.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# The report is tested in Debian's chromium; without it, and without the right to install it, those tests are skipped.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
		echo "chromium is not installed: browser tests will be skipped"

# A stamp stands for an environment that matches its requirements; it is made anew when they change.
$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[demo]"
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@ $(VENV)/.demo

$(VENV)/.docs: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) site wsol-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
