# Everything one types here. The environment in .venv is made on the way, once, and again when its lists change.

PYTHON = python3
VENV = .venv
BIN = $(VENV)/bin
READY = $(VENV)/ready
TEST_WORKERS = 2

.PHONY: help demo test test-lowest check format docs bench constraints clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## Run every step on a corpus made on the spot and write demo/report.html (resumes)
	@$(BIN)/sedistill demo --output demo

test: $(READY) ## Run every test
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS)

test-lowest: ## Run every test with the oldest releases that pyproject.toml allows (but torch; needs uv)
	@uv venv --quiet --allow-existing --seed $(VENV)-lowest
	@grep '^torch==' constraints.txt > $(VENV)-lowest/torch.txt
	@$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		-r $(VENV)-lowest/torch.txt
	@VIRTUAL_ENV=$(VENV)-lowest uv pip install --quiet --resolution lowest-direct \
		-c $(VENV)-lowest/torch.txt -e '.[dev]'
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(VENV)-lowest/bin/python -m pytest -n $(TEST_WORKERS)

check: $(READY) ## Look at the code without running it: linter, formatter, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY) ## Format the code
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

docs: $(READY) ## Write the documentation as a site into site/; a broken link is an error
	@$(BIN)/python docs/build_site.py

bench: $(READY) ## Measure speed and memory as ratios; results go to benchmarks/results/
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

constraints: ## Pin anew in constraints.txt all that the tests use, but torch (needs uv)
	@sed '/^torch==/q' constraints.txt > constraints.new
	@uv pip compile pyproject.toml --extra dev --universal --python-version 3.10 --upgrade --quiet \
		--no-header --no-annotate -c constraints.new -o constraints.all
	@grep -vE '^(torch|triton|nvidia|cuda)' constraints.all >> constraints.new
	@rm constraints.all && mv constraints.new constraints.txt

clean: ## Remove the environments, the demo and the site
	rm -rf $(VENV) $(VENV)-lowest demo site

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed; for example: make PYTHON=python3.12 demo"; exit 1; }
	@test -x $(BIN)/python || { echo "Making a virtual environment in $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing torch, by the pin in constraints.txt (a minute or so)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	@echo "Installing sedistill and its tools"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)
