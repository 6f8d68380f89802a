# Each of the two commands of the README does all of its own set-up:
#   make demo    make test
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: demo printed test check types docs gate bench coverage wheel format install install-dev install-docs clean

demo: install
	$(BIN)/facebench demo --out demo

# What the commands of README and docs print, in their pages again; two minutes after the demo.
printed: demo
	$(BIN)/python tests/benchmarks/printed.py demo --tutorial

# Two processes, a file of tests in each, those of one Ray together in the first. What they and the
# hundreds that they start import is compiled once, also where the environment forbids to keep it.
test: install-dev
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: install-dev .cache/types/facebench
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory types

types: install-dev .cache/types/facebench
	cd .cache/types && $(abspath $(BIN))/mypy --config-file ../../pyproject.toml -p facebench

# The site, in build/site: every link leads somewhere, every name of the reference is there.
docs: install-docs .cache/types/facebench
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The embedded benchmark, small, held against the committed errors of every subject.
gate: install
	PATH="$(abspath $(BIN)):$$PATH" .ci/gate

# What the README and the docs state about speed; each prints a ratio measured in one run.
bench: install-dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/ruler_speed.py
	$(BIN)/python tests/benchmarks/renderers.py --threads 1
	$(BIN)/python tests/benchmarks/training.py --threads 1
	$(BIN)/python tests/benchmarks/pipeline.py --clips 4 --frames 70 --workers 2

# Lines and branches that no test reaches, in build/coverage.
coverage: install-dev
	COVERAGE_FILE=build/coverage/data $(BIN)/python -m coverage run -m pytest -p no:cacheprovider
	COVERAGE_FILE=build/coverage/data $(BIN)/python -m coverage combine --quiet
	COVERAGE_FILE=build/coverage/data $(BIN)/python -m coverage html --directory build/coverage/html --quiet
	COVERAGE_FILE=build/coverage/data $(BIN)/python -m coverage report

# The wheel, in an environment of its own, from another folder.
wheel: install-dev
	.ci/wheel $(VENV)

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
