# Each of the two commands of the README does all of its own set-up:
#   make demo    make test
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: demo test check docs format install install-dev install-docs clean

demo: install
	$(BIN)/facebench demo --out demo

# Two processes, a file of tests in each: one waits for Ray while the other computes.
test: install-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: install-dev .cache/types/facebench
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd .cache/types && $(abspath $(BIN))/mypy --config-file ../../pyproject.toml -p facebench

# The site, in build/site: every link leads somewhere, every name of the reference is there.
docs: install-docs .cache/types/facebench
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev
install-docs: $(VENV)/.installed-docs

$(VENV)/.installed: pyproject.toml constraints.txt
	PYTHON=$(PYTHON) .ci/set-up $(VENV) .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	PYTHON=$(PYTHON) .ci/set-up $(VENV) '.[dev]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	PYTHON=$(PYTHON) .ci/set-up $(VENV) '.[docs]'
	touch $@

# The repository root is the package, so mypy and the site need a folder in which it bears its name.
.cache/types/facebench:
	mkdir -p $(@D)
	ln -sfn ../.. $@

clean:
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache build *.egg-info demo
