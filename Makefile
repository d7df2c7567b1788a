# One command for each job, the same as in continuous integration. The first one installs into $(VENV) by itself.
#   make demo | test | slow | lint | types | figures | docs | bench | format        make test PYTHON=python3.12 VENV=.venv312
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2

# Two BLAS threads collapse where a neighbour wants a core, and no window may open.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MPLBACKEND ?= Agg

RUN := $(VENV)/bin/python -m
SOURCES := setup.cfg pyproject.toml constraints.txt
INSTALL = $(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test slow lint types figures docs bench format

demo: $(VENV)/.installed
	$(RUN) neurocircuits.cli demo --out demo

test: $(VENV)/.installed-dev
	$(RUN) pytest -m "not slow" -n $(WORKERS) --dist loadfile $(ARGS)
	$(RUN) pytest --pyargs neurocircuits --doctest-modules -q

slow: $(VENV)/.installed-dev
	$(RUN) pytest -m slow $(ARGS)

lint: $(VENV)/.installed-dev
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(VENV)/bin/lint-imports --no-cache

types: $(VENV)/.installed-dev
	$(RUN) mypy

figures: $(VENV)/.installed
	$(RUN) neurocircuits.cli figure --all --out build/figures $(ARGS)

docs: $(VENV)/.installed
	@$(INSTALL) -e ".[docs]"
	$(RUN) sphinx -W -q docs docs/built
	@echo "docs/built/index.html"

bench: $(VENV)/.installed-dev
	$(RUN) benchmarks $(ARGS)

format: $(VENV)/.installed-dev
	$(RUN) ruff check --fix
	$(RUN) ruff format

$(VENV)/.installed: $(SOURCES)
	$(check)
	$(create)
	@echo "Installing neurocircuits and what it needs into $(VENV) (a minute or two, once)"
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: $(SOURCES)
	$(check)
	$(create)
	@echo "Installing neurocircuits and the tools of its developers into $(VENV) (a minute or two, once)"
	@$(INSTALL) -e ".[dev]"
	@touch $@ $(VENV)/.installed

# Debian splits ensurepip off into python3-venv, hence the name.
define check
@missing=""; \
if command -v $(PYTHON) >/dev/null 2>&1; then \
  $(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))" || \
    { echo "neurocircuits needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12"; exit 1; }; \
  $(PYTHON) -c "import ensurepip, venv" >/dev/null 2>&1 || missing="$$missing python3-venv"; \
else missing="$$missing python3 python3-venv"; fi; \
for tool in gcc g++; do command -v $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; done; \
if [ -n "$$missing" ]; then echo "Missing on this machine:$$missing. On Debian or Ubuntu: apt-get install$$missing"; exit 1; fi
endef

# A folder that was left half made, or whose Python is gone, is made again.
define create
@$(RUN) pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
endef
