# One target a job; README.md gives the same commands for a machine without make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# PyTorch publishes its CPU builds here; where it cannot be reached, pip's own sources must have one.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.DEFAULT_GOAL := help
.PHONY: help install locked lock audit sbom chat index test check eval bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

install: $(VENV)/.installed ## make .venv and install exact versions into it

locked: $(VENV)/bin/python ## install as well, but every package checked by its hash (torch: by version)
	@$(PIP) install --quiet --no-deps --constraint constraints.txt --index-url $(TORCH_INDEX) torch || \
	  $(PIP) install --quiet --no-deps --constraint constraints.txt torch
	$(PIP) install --no-deps --require-hashes --requirement requirements.lock
	$(PIP) install --quiet --no-deps --editable .

# The packages for CUDA are overridden with a marker that never holds, as constraints.txt refuses them.
lock: $(VENV)/bin/python ## write requirements.lock anew, from pyproject.toml and constraints.txt
	@$(PIP) install --quiet uv
	@sed -n 's/<0$$/; python_version < "3"/p' constraints.txt > $(VENV)/overrides.txt
	@grep -v '<0$$' constraints.txt > $(VENV)/versions.txt
	$(BIN)/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes \
	  --constraint $(VENV)/versions.txt --override $(VENV)/overrides.txt --no-emit-package torch \
	  --no-annotate --no-header --output-file requirements.lock

# What is installed is no help: torch's CPU build has a version of its own, which no list of holes has.
audit: $(VENV)/bin/python ## look for known holes in the packages; needs the network
	@$(PIP) install --quiet pip-audit
	@grep '^torch==' constraints.txt > $(VENV)/torch.txt
	$(BIN)/pip-audit --strict --disable-pip --requirement requirements.lock
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement $(VENV)/torch.txt

sbom: install ## write what is installed to sbom.json, in CycloneDX's format
	@$(PIP) install --quiet cyclonedx-bom
	$(BIN)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --of JSON -o sbom.json

chat: install ## build the index if need be and serve the chat on http://127.0.0.1:7860
	@$(BIN)/rag index
	@$(BIN)/python app.py

index: install ## bring the index up to date with corpus/
	@$(BIN)/rag index

eval: install ## measure the answers on the shipped questions
	@$(BIN)/rag index
	@$(BIN)/rag eval tests/questions.jsonl $(EVAL)

test: $(VENV)/.installed-dev ## run the tests
	@echo "Running the tests (some minutes)"
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile \
	  --cov=rag --cov-report=term --cov-fail-under=90

bench: $(VENV)/.installed-dev ## measure the index against its rivals: make bench SOURCE=folder of documents
	@$(BIN)/python -m tests.benchmarks.bench_index $(or $(SOURCE),corpus) --plot docs/growth.svg $(BENCH)
	@$(BIN)/python -m tests.benchmarks.bench_crashes

check: $(VENV)/.installed-dev ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11 to 3.13 is needed, this is $$($(PYTHON) --version): make PYTHON=python3.12"; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "The venv module is missing: on Debian, apt install python3-venv"; exit 1; }

# The CPU build of torch comes first, alone, so that nothing else is asked of its index.
$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing (about 500 MB to download the first time)"
	@$(PIP) install --quiet --no-deps --constraint constraints.txt --index-url $(TORCH_INDEX) \
	  --retries 0 --timeout 20 torch || echo "PyTorch's CPU index cannot be reached; going on without"
	$(PIP) install --progress-bar on --constraint constraints.txt --editable . || { echo "\
	If pip wants CUDA above: give it a CPU wheel of torch (PIP_FIND_LINKS=DIR, or TORCH_INDEX=URL)"; exit 1; }
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what the tests need"
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
