# The verbs of this project; CI uses the same ones.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGES := lightning_modules datamodules losses callbacks experiments benchmarks
# Tests at a time, each with one thread.
WORKERS ?= 2
EXPERIMENT := --config experiments/emotion_gan.yaml --config experiments/presets/laptop.yaml
# More for `make demo`, e.g. ARGS="--data.root /data/SNaP-2DFe".
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-slurm lint typecheck check bench docs clean

help:  ## Show the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) \
		| awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

install: $(STAMP)  ## Make .venv with the pinned versions

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is \
	needed: make install PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)  ## Train and test eMotion-GAN on synthetic faces, in minutes (ARGS=...)
	$(BIN)/lightning fit $(EXPERIMENT) $(ARGS)
	$(BIN)/lightning test $(EXPERIMENT) --ckpt_path best $(ARGS)

test: $(STAMP)  ## Run all tests but the slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

test-slurm: $(STAMP)  ## Run jobs on a SLURM of this machine (Debian: slurm-wlm, munge; as root)
	$(BIN)/python -m pytest -m slurm -rs tests/slurm

test-slow: $(STAMP)  ## Run the slow tests
	$(BIN)/python -m pytest -m 'slow and not gpu'

lint: $(STAMP)  ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(STAMP)  ## Check types
	$(BIN)/mypy

check: lint typecheck test  ## Everything that CI checks

bench: $(STAMP)  ## Measure speeds as ratios into runs/bench.json
	$(BIN)/python -m benchmarks

docs: $(STAMP)  ## Build the documentation into build/site, with its links checked
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

clean:  ## Remove what was built, but no run and no cache of data
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
