# Every target works on a fresh clone, with make and Python 3.11 or newer: the first one builds .venv.
PYTHON ?= python3

.PHONY: setup demo demo-compare test check bench

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'attend needs Python 3.11 or newer, and "$(PYTHON)" is not: name one, as in "make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12"' >&2; exit 1; }
	$(PYTHON) -m venv .venv
# torch first, so that nothing that depends on it picks another version.
	.venv/bin/python -m pip install -c constraints.txt torch
	.venv/bin/python -m pip install -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup
	.venv/bin/attend demo

demo-compare: setup
	.venv/bin/attend demo --compare

# --check-shapes: every array in every call of the package has the type and the shape that its signature says.
test: setup
	.venv/bin/python -m pytest --check-shapes

check: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/basedpyright

bench: setup
	.venv/bin/python bench/run.py
