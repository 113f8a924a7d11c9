# norcli's tasks. Two are all a newcomer needs: `make demo` and `make test`.
#
#   make demo    install into .venv and run the whole pipeline on the embedded sample (6 minutes)
#   make test    install into .venv and run all tests
#   make check   formatting, lint, types, quick tests, generated files, shell scripts
#   make docs    write man pages, completions and docs/cli.md anew
#   make clean   remove .venv and the demo's folder

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo
JOBS ?= 2
DEMO_JOBS ?= 1
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check docs clean install install-dev

# torch comes first and alone, at its pinned version: a range would let pip choose another build.
$(VENV)/.torch: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "norcli needs Python 3.11 or newer; name one with make PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing torch into $(VENV) (once; some minutes)"
	$(PIP) torch==2.13.0
	@touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml
	@echo "installing norcli into $(VENV)"
	$(PIP) --editable '.[train,chat]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	@echo "installing the development tools into $(VENV)"
	$(PIP) --editable '.[train,chat,eval,ray,dev]'
	@touch $@

install: $(VENV)/.demo
install-dev: $(VENV)/.dev

demo: $(VENV)/.demo
	PATH="$(abspath $(BIN)):$$PATH" JOBS=$(DEMO_JOBS) examples/00-quickstart.sh $(DEMO)

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/gen_docs.py --check
	$(BIN)/shellcheck examples/*.sh .ci/run
	if command -v mandoc >/dev/null; then mandoc -Tlint -W warning man/man?/*; fi
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow and not gpu"

docs: $(VENV)/.dev
	$(BIN)/python tools/gen_docs.py

clean:
	rm -rf $(VENV) $(DEMO)
