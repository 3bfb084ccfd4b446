# `make` or `make help` lists the targets. Everything happens inside .venv, which setup creates.
PYTHON ?= python3
PROMPT ?= a pink motorcycle
ARGS ?=
BLENDER_PYTHON ?= python3.11

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
# Bytecode is left to the first import of each module: that of the thousands never imported is a sixth of the size.
INSTALL := $(BIN)/python tools/install.py --no-compile --constraint constraints.txt --editable
BLENDER_VENV := .venv-blender
BLENDER_STAMP := $(BLENDER_VENV)/.installed

# The prompt reaches the command through the environment, so that no quote, dollar or space in it meets a shell.
export ENPOINTE_PROMPT := $(value PROMPT)
unexport PROMPT

.DEFAULT_GOAL := help
.PHONY: help setup blender run test quick wheel-smoke format clean

help:
	@echo 'make run PROMPT="a pink motorcycle"   generate a cloud and a mesh; more options: ARGS="--seed 7 --no-mesh"'
	@echo 'make test                             lint, types, layers, tests and what they cover'
	@echo 'make quick                            the fast tests, up to the first that fails'
	@echo 'make wheel-smoke                      build the wheel and try it in an empty environment of each Python found'
	@echo 'make setup                            install everything into $(VENV) (run installs what it needs by itself, test the rest)'
	@echo 'make blender                          Blender 4.5 as a Python module in $(BLENDER_VENV), for rendering and for FBX and COLLADA'
	@echo 'make format                           format the code'
	@echo 'make clean                            remove $(VENV), $(BLENDER_VENV) and every cache; results in out/ and runs/ stay'

setup: $(DEV_STAMP)

# What a prompt needs.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); sys.exit(None if ok else "expected Python 3.11 to 3.13 as $(PYTHON), got %d.%d; choose another with make PYTHON=python3.12" % sys.version_info[:2])'
	@# One that works is kept, with the PyTorch that may have been chosen for it; a broken one is made anew.
	@$(BIN)/python -c 'import pip, subprocess, sys; sys.exit(sys.prefix == sys.base_prefix)' 2>/dev/null \
		|| { echo 'creating $(VENV)'; $(PYTHON) -m venv --clear $(VENV); }
	@$(INSTALL) .
	@touch $(STAMP)

# The rest: training, data, tests.
$(DEV_STAMP): $(STAMP)
	@$(INSTALL) '.[train,data,dev]'
	@$(INSTALL) '.[fps]' \
		|| echo 'fpsample could not be built (it takes a C++ compiler): numpy does its work, ten times slower'
	@touch $(DEV_STAMP)

blender: $(BLENDER_STAMP)

# An environment of its own: Blender's wheel wants NumPy below 2 and one version of Python. 4.5 is the last Blender
# that reads COLLADA. One that is broken, or half installed, is made anew.
$(BLENDER_STAMP): Makefile
	@command -v $(BLENDER_PYTHON) >/dev/null || { echo 'expected Python 3.11 as $(BLENDER_PYTHON), found none; name it with make blender BLENDER_PYTHON=...'; exit 2; }
	@$(BLENDER_PYTHON) -c 'import sys; sys.exit(None if sys.version_info[:2] == (3, 11) else "expected Python 3.11 as $(BLENDER_PYTHON), got %d.%d" % sys.version_info[:2])'
	@$(BLENDER_VENV)/bin/python -c 'import bpy' 2>/dev/null || $(BLENDER_PYTHON) -m venv --clear $(BLENDER_VENV)
	$(BLENDER_VENV)/bin/python -m pip install --quiet 'bpy==4.5.*' 'numpy<2'
	$(BLENDER_VENV)/bin/python -c 'import bpy; print("Blender", bpy.app.version_string)'
	@touch $(BLENDER_STAMP)

run: $(STAMP)
	@$(BIN)/enpointe generate $(ARGS) -- "$$ENPOINTE_PROMPT"
	@echo 'without make: source $(BIN)/activate, then enpointe generate "a red car" --seed 1 (--help lists all options)' >&2

test: $(DEV_STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --cov

quick: $(DEV_STAMP)
	$(BIN)/python -m pytest -m 'not slow' -x -q

wheel-smoke:
	@$(PYTHON) tools/wheel_smoke.py

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) $(BLENDER_VENV) build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis .coverage
	find src tests -type d -name __pycache__ -prune -exec rm -rf {} +
