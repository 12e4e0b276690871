# memx: `make demo` shows it, `make test` proves it. Needs Python 3.11 or later, make and git.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PREFIX ?= $(HOME)/.local
HOME_DIR := $(DESTDIR)$(PREFIX)/lib/memx
JOBS ?= 2

FORMAT ?= isobmff
SECONDS ?= 60

.PHONY: help demo test test-quick check bench bench-smoke fuzz docs install uninstall clean
.DEFAULT_GOAL := help

help:  ## show what can be made
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' $(firstword $(MAKEFILE_LIST)) | awk -F'\t' '{printf "  make %-12s%s\n", $$1, $$2}'

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "memx needs Python 3.11 or later, and $(PYTHON) is " + sys.version.split()[0] + ": say which with make PYTHON=...")'
	@test -x $(BIN)/python || { echo "making $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "installing memx and what it needs into $(VENV) (a minute or two, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python -m compileall -q memx  # where the environment keeps Python from it, each run would do it again
	@touch $@

demo: $(READY)  ## stream one real file of each format, and see the memory it takes beside the usual tools
	@$(BIN)/python -m tests.demo

test: $(READY)  ## run the whole test suite
	$(BIN)/python -m pytest -n $(JOBS)

test-quick: $(READY)  ## run the tests that take no more than a second or two each
	$(BIN)/python -m pytest -n $(JOBS) -m 'not slow'

check: $(READY)  ## lint, types, and docs that say what the commands do
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m memx.cli.docgen --check

bench: $(READY)  ## measure memx and the other tools in turns (ONLY=dicom,fits BENCH_DIR=... BENCH_JSON=FILE)
	@ONLY="$(ONLY)" BENCH_DIR="$(BENCH_DIR)" BENCH_JSON="$(BENCH_JSON)" $(BIN)/python -m tests.bench

bench-smoke: $(READY)  ## hold what each format costs against the limits in tests/bench/limits.toml
	@$(BIN)/python -m tests.bench.smoke

fuzz: $(READY)  ## feed the reader of FORMAT=isobmff what a fuzzer makes up, for SECONDS=60
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	@$(BIN)/python -m tests.fuzz $(FORMAT) $(SECONDS)

docs: $(READY)  ## write the man pages and the completions from the commands
	$(BIN)/python -m memx.cli.docgen

install:  ## install the command below PREFIX (~/.local), with its man pages and completions
	$(PYTHON) -m venv --clear $(HOME_DIR)
	$(HOME_DIR)/bin/python -m pip install --quiet --disable-pip-version-check .
	mkdir -p $(DESTDIR)$(PREFIX)/bin
	ln -sf ../lib/memx/bin/memx $(DESTDIR)$(PREFIX)/bin/memx
	cd $(HOME_DIR)/share && find man bash-completion zsh fish -type f | while read -r file; do \
		mkdir -p "$(DESTDIR)$(PREFIX)/share/$$(dirname "$$file")" && \
		cp "$$file" "$(DESTDIR)$(PREFIX)/share/$$file"; done

uninstall:  ## take away what install put below PREFIX
	if [ -d $(HOME_DIR)/share ]; then cd $(HOME_DIR)/share && find man bash-completion zsh fish -type f | \
		while read -r file; do rm -f "$(DESTDIR)$(PREFIX)/share/$$file"; done; fi
	rm -f $(DESTDIR)$(PREFIX)/bin/memx
	rm -rf $(HOME_DIR)
	@cd $(DESTDIR)$(PREFIX) && for folder in bin lib share/man/man1 share/man/man7 share/zsh/site-functions \
		share/fish/vendor_completions.d share/bash-completion/completions; do \
		rmdir -p $$folder 2>/dev/null || :; done  # those that nothing else is in

clean:  ## take away what was made, .venv too
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
