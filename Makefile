# The commands of this project. `make` alone lists them.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup test check bench chaos demo lock clean lint unit

bin := .venv/bin
benchmarks := $(wildcard benchmarks/[a-z]*.py)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install all that is needed: system packages (Debian, Ubuntu), .venv, the project
	@scripts/setup.sh dev

test: setup lint ## all checks and all tests; sets everything up by itself
	$(bin)/python -m pytest tests

check: setup lint unit ## the fast part of it: lint, types, import contracts, unit tests

bench: setup ## run every benchmark, one JSON object each
	@failed=; for file in $(benchmarks); do \
		$(bin)/python "$$file" --json || failed="$$failed $$file"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

chaos: setup ## break a whole Stoker 1,000 times on each database, and check what must hold
	@failed=; for database in sqlite postgres; do \
		timeout 2400 $(bin)/python -m stoker.testing.chaos --db $$database --faults 1000 \
			--pace 0.6 --json || \
			failed="$$failed $$database"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

demo: ## run the main job on real data; sets up what it needs by itself
	@scripts/setup.sh demo
	@$(bin)/python examples/demo/run.py

lock: setup ## regenerate the lock files; UPGRADE=1 takes the newest versions
	scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove .venv and what the tools left
	rm -rf .venv .venv-building .setup.lock build dist .hypothesis .import_linter_cache \
		.pytest_cache .ruff_cache
	find src tests benchmarks examples scripts -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

lint:
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/pyright --warnings
	$(bin)/lint-imports --no-logo

unit:
	$(bin)/python -m pytest tests/unit
