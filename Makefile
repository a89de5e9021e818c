# What people and CI call. `make` alone prints what there is.
VENV ?= .venv
# The environment of what degrain's training speed is measured against.
PEERS ?= .venv-peers
PYTHON ?= python3
# What a change is held against by test-quick.
BASE ?= main
export PREFECT_PORT MLFLOW_PORT POOL
# Which PyTorch uv takes: auto picks CPU or CUDA by itself; empty means the plain package index. Plain pip ignores it.
TORCH_BACKEND ?= auto
BIN := $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)
READY := $(VENV)/.ready
PEERS_READY := $(PEERS)/.ready

.DEFAULT_GOAL := help
.PHONY: help env repro test test-quick test-slow test-services lint format docs build bench bench-peers flow up deploy worker \
	down mlflow clean distclean

help: ## Print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

env: $(READY) ## Make the virtual environment (VENV=.venv, PYTHON=python3, TORCH_BACKEND=auto)

$(READY): pyproject.toml constraints.txt scripts/make-env
	@scripts/make-env "$(VENV)" "$(PYTHON)" "$(TORCH_BACKEND)"
	@touch $@

repro: $(READY) ## Run the study in params.yaml from download to registration; does nothing when nothing changed
	@degrain check
	dvc repro

test: $(READY) ## Run the tests
	pytest -n 2 --dist loadgroup -m "not slow and not services and not wheel"

test-quick: $(READY) ## Run the tests that the change since BASE (main) needs, within a minute
	@python -m scripts.quick_tests --base "$(BASE)"

test-slow: $(READY) ## Run the tests that take whole runs of the pipeline
	pytest -n 2 --dist loadgroup -m slow

test-services: $(READY) ## Run the tests on a team's servers: PostgreSQL, S3, Prefect, MLflow, workers (15 minutes)
	pytest -m services tests/services

lint: $(READY) ## ruff and mypy
	ruff check .
	ruff format --check .
	mypy

format: $(READY) ## Format the code
	ruff check --fix .
	ruff format .

docs: $(READY) ## Build the documentation into site/, check every link of it; open site/index.html
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

build: $(READY) ## Build sdist and wheel in dist/, check them, and use the wheel in an environment of its own
	rm -rf dist
	python -m build --no-isolation
	twine check --strict dist/*
	TORCH_BACKEND="$(TORCH_BACKEND)" pytest -q -s -m wheel tests/test_wheel.py

bench: $(READY) ## Measure the pipeline's parts on this machine
	python -m benchmarks

bench-peers: $(READY) $(PEERS_READY) ## Measure training against Keras, PyTorch and Lightning (PEERS=.venv-peers, 2.4 GB)
	python -m benchmarks training peers="$(PEERS)"

$(PEERS_READY): benchmarks/peers/requirements.txt
	@echo "Making the environment of the peers in $(PEERS) (once; about 2.4 GB, some minutes)"
	@[ -x "$(PEERS)/bin/pip" ] || $(PYTHON) -m venv "$(PEERS)"
	@"$(PEERS)/bin/python" -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

flow: $(READY) ## Run the same graph as a Prefect flow, stages side by side, in a workspace of its own
	python -m pipelines.reproduce

up: $(READY) ## Start Prefect's and MLflow's servers on loopback (PREFECT_PORT=4200, MLFLOW_PORT=5000)
	@python -m pipelines.servers up

deploy: $(READY) ## Make work pools and the deployments of prefect.yaml on the Prefect server
	@python -m pipelines.servers deploy

worker: $(READY) ## Take runs of a work pool until Ctrl-C (POOL=cpu)
	@exec python -m pipelines.servers worker

down: $(READY) ## End the servers and workers that were started here
	@python -m pipelines.servers down

mlflow: $(READY) ## Open the MLflow UI on http://127.0.0.1:5000
	mlflow server --host 127.0.0.1 --port 5000 --backend-store-uri "$$(degrain tracking-uri)"

clean: ## Remove results and prepared data; the trial ledger, the registry and the environment stay
	git clean -qfdX -- data results dvc_plots

distclean: clean ## Remove everything that git does not track: the environment, DVC's cache, ledger and registry too
	rm -rf $(VENV) $(PEERS) .degrain .dvc/cache .dvc/tmp .mypy_cache .ruff_cache .pytest_cache site
