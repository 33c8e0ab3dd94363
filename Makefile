# The two commands are `make demo` and `make check`; both set up everything they need.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
STOCK := .stock-venv
PYTHON ?= /usr/bin/python3
BASE ?=
WORKERS ?= 2

.PHONY: help setup system demo check check-slow check-stock coverage bench lint types layers test pictures format clean

help:
	@echo "make setup       system packages and the virtual environment; the others do it too"
	@echo "make demo        from nothing to an image that runs"
	@echo "make check       linters, types, layers and tests"
	@echo "make check-slow  the tests that take long, and property tests with many examples"
	@echo "make coverage    the tests of make check, and which lines they run"
	@echo "make check-stock KOJI=/path/to/koji [KCB=/path/to/koji-containerbuild]"
	@echo "                 the plugins in a stock Koji from its source tree; see tests/stock"
	@echo "make pictures    the pictures and the metadata of docs/, from real runs"
	@echo "make bench       rpkg's container-build and ours side by side: five minutes, or QUICK=1"
	@echo "make clean       remove the virtual environment and caches"

setup: system $(STAMP)

system:
	@packaging/setup-system

$(STAMP): setup.py fedpkg_container/__init__.py
	@echo "setup: making the virtual environment $(VENV) (about two minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip setuptools wheel
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[box,check]'
	@touch $@

demo: setup
	@$(BIN)/python -m fedpkg_container.box.demo $(if $(BASE),--base '$(BASE)')

check: setup lint types layers test

lint:
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types:
	$(BIN)/mypy

layers:
	$(BIN)/lint-imports

test:
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow"

coverage: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow" --cov=fedpkg_container --cov-report=term:skip-covered

check-slow: setup
	$(BIN)/python -m pytest --hypothesis-profile=thorough -m "slow or hypothesis"

check-stock: setup $(STOCK)/.complete
	@test -n '$(KOJI)' || { echo "name Koji's source tree: make check-stock KOJI=/path/to/koji" >&2; exit 2; }
	KOJI_SOURCE='$(abspath $(KOJI))' KOJI_CONTAINERBUILD_SOURCE='$(abspath $(KCB))' $(BIN)/python -m pytest tests/stock

# The Python of a stock hub and kojid: nothing of the client's is in it.
$(STOCK)/.complete: tests/stock/requirements.txt
	$(PYTHON) -m venv --system-site-packages $(STOCK)
	@$(STOCK)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

pictures: setup
	$(BIN)/python docs/make_pictures.py
	$(BIN)/python -m docs.make_metadata
	$(BIN)/python -m docs.make_pull_log

# QUICK=1 leaves out rpkg's waits of a minute, and most of a long log.
bench: setup
	@$(BIN)/python -m benchmarks

format:
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) $(STOCK) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
