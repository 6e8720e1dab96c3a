.DEFAULT_GOAL := help
.PHONY: help install install-dev lock demo up test test-faults test-dates lint openapi sql build check-tag faults bench bench-guard bench-history

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# What the benchmark compares with, and what draws its charts: nothing of it is in the product's environment.
BENCH_VENV := .venv-bench
# The package is built with the locked backend, so an install resolves nothing on its own.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed ## create .venv with callboard in it, from the lock file

# A checkout has these links; a source archive does not, as they would be copies in it.
LINKS := callboard/api callboard/actors callboard/db .editable/callboard

$(LINKS):
	@mkdir -p $(@D)
	ln -s ../$(@F) $@

$(VENV)/.installed: requirements.lock pyproject.toml db/version.py | $(LINKS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

install-dev: $(VENV)/.installed-dev ## the same, with the tools that tests and lint need

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

lock: install-dev ## resolve the dependencies anew into the lock files
	$(BIN)/$(LOCK) --upgrade --all-extras --group build -o requirements.lock pyproject.toml
	$(BIN)/$(LOCK) --upgrade --all-extras --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	$(BIN)/$(LOCK) --upgrade -o bench/requirements-peers.lock bench/requirements-peers.in

demo: install ## run a real job from an upload to its history row, on the embedded system
	$(BIN)/python -m callboard.demo

up: install ## run the system on http://127.0.0.1:8000 until Ctrl-C
	$(BIN)/callboard up

test: install-dev ## run the tests; installs and starts privately what they need
	tests/services/install.sh
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not faults"

test-faults: install-dev ## run the tests in which processes, servers and connections die, hang or are flooded
	tests/services/install.sh
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m faults

test-dates: install-dev ## run the tests that a date can break at eight moments: month ends, 29 February, clock changes; FLAGS='--moment leap-day'
	tests/services/install.sh
	$(BIN)/python -m tests.dates $(FLAGS)

lint: install-dev ## check style, types, layers and migrations
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/alembic upgrade head --sql >$(VENV)/migrations.sql
	$(BIN)/squawk $(VENV)/migrations.sql

openapi: install-dev ## write docs/openapi.json anew from the api
	PYTHONPATH=. $(BIN)/python docs/openapi_file.py

sql: install-dev ## write docs/sql anew: the statements that the code sends
	PYTHONPATH=. $(BIN)/python docs/sql_files.py

build: install-dev ## build source archive and wheel into dist/, check both, and start the wheel's command in a new venv
	rm -rf dist build
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*
	$(BIN)/uv venv --quiet --python $(BIN)/python build/venv
	$(BIN)/uv pip install --quiet --python build/venv/bin/python --constraints requirements.lock dist/*.whl
	cd build && venv/bin/callboard --version && venv/bin/callboard --help >/dev/null
	rm -rf build

# TAG comes through the environment, so that the shell takes it for a word, whatever is in it.
check-tag: ## fail unless TAG is this version's, and the changelog gives it a day
	@version=$$(sed -n 's/^VERSION: Final = "\(.*\)"$$/\1/p' db/version.py); \
	test "$$TAG" = "v$$version" || { echo "TAG is '$$TAG', but db/version.py says $$version." >&2; exit 1; }; \
	grep -q "^## \[$$version\] - 20" CHANGELOG.md || { echo "CHANGELOG.md gives $$version no day." >&2; exit 1; }

$(BENCH_VENV)/.installed: bench/requirements-peers.lock
	test -x $(BENCH_VENV)/bin/python || $(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r bench/requirements-peers.lock
	@touch $@

bench: install-dev $(BENCH_VENV)/.installed ## measure all beside its peers, and write bench/report.md; FLAGS='--only drain'
	tests/services/install.sh
	$(BIN)/python -m bench $(FLAGS)

bench-guard: install-dev ## fail if Callboard became a quarter slower than bench/guard.json says; FLAGS=--record writes it
	tests/services/install.sh
	$(BIN)/python -m bench.guard $(FLAGS)

bench-history: install-dev ## measure what questions to a history of ten million jobs cost
	$(BIN)/python -m bench.history

faults: install-dev ## break everything that the system stands on, and count what it loses; FLAGS='--quick'
	tests/services/install.sh
	$(BIN)/python -m tests.faults $(FLAGS)
