# `make` or `make help` lists the targets. Everything happens inside .venv, which setup creates.
PYTHON ?= python3
PROMPT ?= a pink motorcycle
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# The prompt reaches the command through the environment, so that no quote, dollar or space in it meets a shell.
export ENPOINTE_PROMPT := $(value PROMPT)
unexport PROMPT

.DEFAULT_GOAL := help
.PHONY: help setup run test format clean

help:
	@echo 'make run PROMPT="a pink motorcycle"   generate a cloud and a mesh; more options: ARGS="--seed 7 --no-mesh"'
	@echo 'make test                             lint, types, layers, tests'
	@echo 'make setup                            create $(VENV) and install into it (run and test do so by themselves)'
	@echo 'make format                           format the code'
	@echo 'make clean                            remove $(VENV) and every cache; results in out/ and runs/ stay'

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); sys.exit(None if ok else "expected Python 3.11 to 3.13 as $(PYTHON), got %d.%d; choose another with make PYTHON=python3.12" % sys.version_info[:2])'
	@# One that works is kept, with the PyTorch that may have been chosen for it; a broken one is made anew.
	@$(BIN)/python -c 'import pip, subprocess, sys; sys.exit(sys.prefix == sys.base_prefix)' 2>/dev/null \
		|| { echo 'creating $(VENV)'; $(PYTHON) -m venv --clear $(VENV); }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,dev]'
	@touch $(STAMP)

run: $(STAMP)
	@$(BIN)/enpointe generate $(ARGS) -- "$$ENPOINTE_PROMPT"

test: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find src tests -type d -name __pycache__ -prune -exec rm -rf {} +
