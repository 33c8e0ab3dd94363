# SPDX-License-Identifier: GPL-2.0-or-later
# The main targets are `make demo` and `make check`; both install everything that they need.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
STOCK := .stock-venv
ANSIBLE := .ansible-venv
PYTHON ?= /usr/bin/python3
BASE ?=
# Processes for the tests: three times the number of processors, as tests spend a third of their time waiting, and at most 8.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 3 ? 3 * n : 8)))

# Percentage of lines below which make coverage fails.
COVERAGE_FLOOR := 80

# Every process of the tests would compile its modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup system demo check static check-slow check-stock check-systems check-packages check-cluster check-wheels check-oldest check-audit coverage bench lint types layers docs pages test unit pictures rpm deb lint-ansible format clean

help:
	@echo "make setup       install system packages and the virtual environment; implied by the other targets"
	@echo "make demo        start a box, build, promote, mirror, pull and run an image; CLUSTER=1: build in pods"
	@echo "make check       linters, types, import rules, documentation and tests"
	@echo "make unit        the tests that start no program; expects .venv"
	@echo "make check-slow  long tests, property tests with many examples, and make check-audit if PyPI can be reached"
	@echo "make coverage    line coverage of the tests of make check"
	@echo "make check-stock KOJI=/path/to/koji [KCB=/path/to/koji-containerbuild] [PACKAGES=build/deb]"
	@echo "                 run the plugins in a stock Koji from its source tree; see tests/stock"
	@echo "make check-systems [SUITES='trixie sid'] [STEPS='setup demo check']"
	@echo "                 make demo and make check in other releases of Debian, as root; needs debootstrap"
	@echo "make check-packages"
	@echo "                 build, check, install and remove the packages of this distribution, as root, on a system"
	@echo "                 that may be changed, e.g. make check-systems SUITES=trixie STEPS=check-packages"
	@echo "make check-wheels [PYTHONS='/path/to/python3.9 …']"
	@echo "                 install the wheel in an empty environment of each Python, and run programs and unit tests"
	@echo "make check-oldest the same with the oldest versions of the dependencies that are allowed"
	@echo "make check-audit [PYTHONS=python3.13]"
	@echo "                 look for known vulnerabilities in those versions, at PyPI"
	@echo "make check-cluster KUBECONFIG=FILE IMAGE=IMAGE [NAMESPACE=NAME]"
	@echo "                 run the tests of builds in pods on a real cluster; see docs/internals/cluster.md"
	@echo "make docs        build the documentation in docs/_build/html"
	@echo "make pictures    generate the pictures and the metadata of docs/ from real runs"
	@echo "make bench       compare container-build with rpkg's: five minutes, or QUICK=1"
	@echo "make rpm         build the RPM packages in build/rpm"
	@echo "make deb         build the Debian packages in build/deb; needs the build dependencies of debian/control"
	@echo "make lint-ansible"
	@echo "                 check packaging/ansible with ansible-lint, which is installed in .ansible-venv"
	@echo "make clean       remove the virtual environment and caches"

setup: system $(STAMP)

system:
	@packaging/setup-system

$(STAMP): pyproject.toml fedpkg_container/__init__.py
	@echo "setup: creating the virtual environment $(VENV) (about two minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip setuptools wheel
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup
	@$(BIN)/python -m fedpkg_container.box.demo $(if $(BASE),--base '$(BASE)') $(if $(CLUSTER),--cluster)

check: setup static test

# mypy takes longer than all others together.
static:
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target types lint layers pages

lint:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/vermin --target=3.9- --violations --quiet --no-tips --no-parse-comments fedpkg_container
	$(BIN)/codespell
	$(BIN)/python -m tests.prose

types:
	$(BIN)/mypy --show-traceback

layers:
	$(BIN)/lint-imports

docs: setup pages

pages:
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

test:
	$(BIN)/python -m tests.in_memory -n $(WORKERS) --dist loadfile -m "not slow"

unit:
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not programs and not slow"

coverage: setup
	$(BIN)/python -m tests.in_memory -n $(WORKERS) --dist loadfile -m "not slow" --cov --cov-report=term:skip-covered \
	    --cov-fail-under=$(COVERAGE_FLOOR)

check-slow: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --hypothesis-profile=thorough -m "slow or hypothesis"
	AUDIT=optional tests/wheels/run $(abspath $(BIN)/python)

check-stock: setup $(STOCK)/.complete
	@test -n '$(KOJI)' || { echo "KOJI is not set: make check-stock KOJI=/path/to/koji" >&2; exit 2; }
	$(if $(PACKAGES),STOCK_PACKAGES='$(abspath $(PACKAGES))') \
	    KOJI_SOURCE='$(abspath $(KOJI))' KOJI_CONTAINERBUILD_SOURCE='$(abspath $(KCB))' $(BIN)/python -m pytest tests/stock

check-cluster: setup
	@test -n '$(KUBECONFIG)' -a -n '$(IMAGE)' || { echo "make check-cluster KUBECONFIG=FILE IMAGE=IMAGE" >&2; exit 2; }
	CLUSTER_KUBECONFIG='$(abspath $(KUBECONFIG))' CLUSTER_IMAGE='$(IMAGE)' \
	    CLUSTER_NAMESPACE='$(or $(NAMESPACE),fedpkg-container)' $(BIN)/python -m pytest tests/cluster

check-systems:
	$(if $(STEPS),STEPS='$(STEPS)') tests/systems/run $(SUITES)

check-packages:
	tests/packages/run

check-wheels:
	tests/wheels/run $(PYTHONS)

check-oldest:
	OLDEST=1 EXTRAS=box tests/wheels/run $(PYTHONS)

check-audit:
	AUDIT=1 tests/wheels/run $(PYTHONS)

# The Python environment of a stock hub and kojid, without the client's dependencies.
$(STOCK)/.complete: tests/stock/requirements.txt
	$(PYTHON) -m venv --system-site-packages $(STOCK)
	@$(STOCK)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

pictures: setup
	$(BIN)/python docs/make_pictures.py
	$(BIN)/python -m docs.make_metadata
	$(BIN)/python -m docs.make_pull_log

# QUICK=1 omits rpkg's waits of one minute, and most of a long log.
bench: setup
	@$(BIN)/python -m benchmarks

rpm: setup
	packaging/rpm/build build/rpm --define 'python_for_build $(abspath $(BIN)/python)' $(RPMBUILD)

deb:
	rm -rf build/deb
	mkdir -p build/deb/source
	git ls-files -z | tar --create --null --files-from=- | tar --extract --directory build/deb/source
	cd build/deb/source && dpkg-buildpackage --unsigned-source --unsigned-changes --build=binary

$(ANSIBLE)/.complete:
	$(PYTHON) -m venv $(ANSIBLE)
	@$(ANSIBLE)/bin/python -m pip install --quiet --disable-pip-version-check 'ansible-core>=2.17' 'ansible-lint>=25'
	@touch $@

lint-ansible: $(ANSIBLE)/.complete
	cd packaging/ansible && export PATH='$(abspath $(ANSIBLE)/bin)':"$$PATH" ANSIBLE_HOME='$(abspath $(ANSIBLE)/home)' && \
	    ansible-lint --offline && ansible-playbook --inventory inventory.example.yml --syntax-check site.yml

format:
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) $(STOCK) $(ANSIBLE) build dist docs/_build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
