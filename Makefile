# Steward Portal. `make help` lists the commands; each says what it does on its own line.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PORT ?= 8501
PYTHON := .venv/bin/python
# The first Python on this machine that is new enough; 3.11 first, the lock is made for it.
SYSTEM_PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
PYTEST := $(PYTHON) -m pytest
# Kept out of the tests' way when they start in a folder of their own.
export DATAHUB_TELEMETRY_ENABLED := false

.PHONY: help setup run worker test test-openmetadata check format docs lock screenshots wheel sbom image test-image images audit bench mutants need-python

help: ## List these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

run: .venv/.ready ## Install what is missing and start the portal on http://localhost:8501 (PORT=…)
	@PORTAL_PUBLIC_URL="$${PORTAL_PUBLIC_URL:-http://localhost:$(PORT)}" \
		exec $(PYTHON) -m auth.serve --server.port $(PORT)

worker: .venv/.ready ## Start a job worker (needs PORTAL_BROKER_URL)
	@exec $(PYTHON) -m backend worker

setup: .venv/.ready-dev ## Install everything for development

test: .venv/.ready-dev ## Run the whole suite, and print the thirty slowest tests
	@.ci/suite

test-openmetadata: .venv/.ready-dev ## Run user sync's journey at a real server (TEST_OPENMETADATA_URL, TEST_OPENMETADATA_{ADMIN,BOT,USER}_JWT_FILE)
	$(PYTEST) -q -rs -n0 --timeout=3600 tests/openmetadata_server

check: .venv/.ready-dev ## Formatting, lint, types, architecture
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	$(PYTEST) -q tests/architecture

format: .venv/.ready-dev ## Format and fix what ruff can fix
	.venv/bin/ruff check --fix-only -q .
	.venv/bin/ruff format .

docs: .venv/.ready ## Write the settings of README and .env.example, the retention of docs/deploy.md and docs/glossary.md from the code
	$(PYTHON) -m backend.core.settings_table
	$(PYTHON) -m backend.retention
	$(PYTHON) -m backend.core.glossary

lock: .venv/.ready-dev ## Pin requirements*.in into requirements*.txt (UPGRADE=--upgrade for newer releases)
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --generate-hashes $(UPGRADE) requirements-build.in -o requirements-build.txt
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --generate-hashes $(UPGRADE) requirements.in -o requirements.txt
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --generate-hashes $(UPGRADE) requirements-traces.in -o requirements-traces.txt
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --generate-hashes $(UPGRADE) requirements-dev.in -o requirements-dev.txt

screenshots: .venv/.ready-dev ## Take the documentation's pictures anew, and the tour of them; the suite compares them
	SCREENSHOTS_FOLDER=docs/images $(PYTEST) -q -n0 tests/e2e/test_pictures.py

wheel: .venv/.ready-dev ## Build the DMS client as a wheel of its own (dist/dms_client-*.whl)
	@$(PYTHON) .ci/wheel.py dist

sbom: .venv/.ready-dev ## Write what the portal is made of, from the lock (dist/sbom.cdx.json, CycloneDX 1.6)
	@$(PYTHON) .ci/sbom.py dist/sbom.cdx.json

image: ## Build the container image with docker, podman or buildah
	@$(SYSTEM_PYTHON) .ci/image.py build

test-image: ## Hold the built image to what it promises (docker or podman): size, user, contents, start and stop
	@$(SYSTEM_PYTHON) .ci/image.py test

images: ## Pin the container images to the digests that their registries serve now (CHECK=--check only looks)
	@$(SYSTEM_PYTHON) .ci/images.py $(CHECK)

audit: .venv/.ready-dev ## Known holes in the locked packages, and risky code
	.venv/bin/bandit -q -ll -r app.py auth backend pages -c pyproject.toml
	.venv/bin/pip-audit --strict --disable-pip --no-deps -r requirements.txt

mutants: .venv/.ready-dev ## Change the code that carries the promises; show which changes no test notices
	@$(PYTHON) .ci/mutants.py $(NAMES)

bench: .venv/.ready-dev ## Measure every speed claim; each prints both sides and the ratio
	@for program in benchmarks/*.py; do case $$program in */_*) continue;; esac; \
		echo "== $$program"; $(PYTHON) -m "$$(echo $${program%.py} | tr / .)" || exit 1; done

.venv/.ready: requirements.txt requirements-build.txt .ci/environment.py | need-python
	@$(SYSTEM_PYTHON) .ci/environment.py requirements.txt
	@touch $@

.venv/.ready-dev: requirements-dev.txt requirements-build.txt .ci/environment.py | need-python
	@$(SYSTEM_PYTHON) .ci/environment.py requirements-dev.txt
	@touch .venv/.ready $@

need-python:
	@test -n "$(SYSTEM_PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found as python3.11, python3.12, python3.13, python3 or python." >&2; exit 1; }
