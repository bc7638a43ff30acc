# Every target works on a fresh clone, with make and Python 3.11 or newer: the first one builds .venv.
PYTHON ?= python3

.PHONY: setup demo demo-compare test check bench papers page page-check browser screenshots

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
test: setup browser
	.venv/bin/python -m pytest --check-shapes

# The page's tests need Debian's Chromium, and axe from npm: fetched where that may be done, and said where not.
browser:
	@if ! command -v chromium >/dev/null && [ -z "$$ATTEND_CHROMIUM" ]; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
		fi; \
		command -v chromium >/dev/null || \
			echo 'page: its tests are skipped: install Chromium (Debian: apt-get install chromium), or name one in ATTEND_CHROMIUM'; \
	fi
	@if command -v npm >/dev/null; then $(MAKE) -s web/node_modules; \
	else echo 'page: axe is not run, because Node is not installed here'; fi

check: setup page-check
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/basedpyright

# The page is built here and committed, so that nobody needs Node to install or run it.
page: web/node_modules
	cd web && npx tsc --noEmit && node build.js

# Where Node is there, what is committed must be what the sources give.
page-check:
	@if command -v npm >/dev/null; then \
		$(MAKE) web/node_modules && sh web/check.sh; \
	else \
		echo 'page: not checked, because Node is not installed here'; \
	fi

# The explorer's pictures in docs/, of a run of the dates demo (and PAGES="--translation RUN": see docs/screenshots.py).
RUN ?= runs/demo
screenshots: setup browser
	.venv/bin/python docs/screenshots.py $(RUN) $(PAGES)

web/node_modules: web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	@touch $@

bench: setup
	.venv/bin/python bench/run.py

# docs/papers/ and docs/results.md, from the systems' docstrings, the recipes, results/ and docs/papers.toml.
papers: setup
	.venv/bin/python docs/papers.py
