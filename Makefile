# `make` runs what CI runs. `make setup` installs into .venv; without .venv the python on the path is used.
PYTHON ?= $(shell if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python3; fi)
SOURCES := affine_trainer scripts tests examples $(wildcard benchmarks)

# Other jobs on a shared machine slow down two OpenMP threads up to eightfold; one is not hurt.
export OMP_NUM_THREADS ?= 1

.PHONY: check setup lint types contracts test docs docs-reference docs-tutorial sandbox browser e2e format

check: lint types contracts test e2e

setup:
	./scripts/setup.sh dev

lint:
	$(PYTHON) -m ruff check $(SOURCES)
	$(PYTHON) -m ruff format --check $(SOURCES)

types:
	$(PYTHON) -m pyright --pythonpath $(shell command -v $(PYTHON))

contracts:
	$(PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command()" --no-logo

test:
	$(PYTHON) -m pytest

# The site in build/docs; warnings are errors, and so is a page that the code has left behind.
docs:
	$(PYTHON) -m scripts.write_docs --check
	$(PYTHON) -m mkdocs build --strict --quiet

docs-reference:
	$(PYTHON) -m scripts.write_docs

# The commands of the tutorial, one after the other: about five minutes.
docs-tutorial:
	$(PYTHON) -m pytest -m tutorial tests/test_docs.py

# The whole corpus of hostile and benign programs, for every kind of user and every level: some minutes.
sandbox:
	$(PYTHON) -m pytest -m "matrix or not matrix" tests/sandbox

# The report page in headless Chromium; needs `pip install -e ".[dev]"` and a Chromium on the path.
browser:
	$(PYTHON) -m pytest -m browser tests/browser

e2e:
	PYTHON="$(PYTHON)" ./tests/e2e.sh

format:
	$(PYTHON) -m ruff check --fix $(SOURCES)
	$(PYTHON) -m ruff format $(SOURCES)
