# make demo     score the sample calls and show what comes out
# make test     everything needed to pass the tests, and the tests; ALL=1: the exhaustive ones too
# make check    ruff and mypy
# make bench    speed and memory, on an idle machine
# make bench-pages  how quickly pages come at 100,000 calls, on an idle machine
# make pictures     the pictures of the README, anew
# make figures  how good redaction is, each figure beside its target; options in FIGURES
# make figures-scoring  the same of scoring
# make lock     write the lock anew from what is installed
#
# TORCH_INDEX chooses the build of torch; see "Try it" in the README.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0
TORCH_INDEX ?=
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check bench bench-pages pictures figures figures-scoring lock clean
.DELETE_ON_ERROR:

demo: $(INSTALLED)
	@$(BIN)/qa-monitor --config samples/qa-monitor.toml score samples

# One more than there are cores, because browsers and servers wait for each other.
test: $(INSTALLED)
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --dist worksteal $(if $(ALL),,-m "not exhaustive")

check: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

$(INSTALLED): .requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "qa-monitor needs Python 3.11 or later; none was found. Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) (some minutes, once) ..." >&2
	@$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(TORCH)"
	@$(PIP) -r .requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

bench: $(INSTALLED)
	@$(BIN)/python .ci/benchmark.py

bench-pages: $(INSTALLED)
	@$(BIN)/python .ci/pages_benchmark.py

pictures: $(INSTALLED)
	@$(BIN)/python .ci/screenshots.py

figures: $(INSTALLED)
	@$(BIN)/python .ci/redaction_figures.py $(FIGURES)

figures-scoring: $(INSTALLED)
	@$(BIN)/python .ci/scoring_figures.py $(FIGURES)

lock: $(INSTALLED)
	@$(BIN)/python .ci/lock.py > .requirements.lock.new && mv .requirements.lock.new .requirements.lock

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
