# Everything here is one program, tools/setup.py, in the first Python that is new enough.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
SETUP = @$(if $(PYTHON),,$(error fmlx needs Python 3.11 or newer and found none. \
	Install it with 'brew install python@3.12' or 'apt-get install python3-venv', and run make again))$(PYTHON) -m tools.setup
VENV = .venv/bin

.PHONY: help run setup test format lint bench screenshots demo-models demo-pages messages lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

run: ## Set up what is missing, then start the server on 127.0.0.1:8000
	$(SETUP) run

setup: ## Set up what is missing, and stop there
	$(SETUP) setup

test: ## Set up what the tests need, then run all of them
	$(SETUP) test

format: ## Format code and templates
	$(SETUP) develop
	@$(VENV)/ruff check --fix-only --quiet . && $(VENV)/ruff format . && $(VENV)/djhtml templates

lint: ## Lint code, templates, settings, migrations and types
	$(SETUP) develop
	@$(PYTHON) -m tools.suite lint types

BENCHMARKS = video_overhead engine_raw chat_overhead

bench: ## Measure what the server costs beside the bare runtimes
	$(SETUP) setup
	@for name in $(BENCHMARKS); do echo "benchmarks/$$name.py"; $(VENV)/python -m benchmarks.$$name || exit 1; done

screenshots: ## Take docs/screenshots anew: every page, in three languages, light and dark
	$(SETUP) develop
	@$(VENV)/python -m tests.e2e.screenshots docs/screenshots

demo-models: ## Train the demo models anew, compare them with the shipped ones and score them
	$(SETUP) develop
	@$(VENV)/python -m demo_models.remake

demo-pages: ## Write docs/demo-models anew: what the demo models say and draw
	$(SETUP) develop
	@$(VENV)/python -m demo_models.pages

messages: ## Gather the strings to translate and compile the translations
	$(SETUP) messages

lock: ## Make the lock files anew from requirements/*.in and package.json
	$(SETUP) lock

clean: ## Remove what set-up made here; models, jobs and credentials stay
	$(SETUP) clean
