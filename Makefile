# `make repro` and `make test` are all that most people need; `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
INSTALLED := .venv/.installed
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONSAFEPATH  # it would hide bench/ from `python -m`

.PHONY: help repro test fuzz lint mutants soak bench readme page lock

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

repro: $(INSTALLED)  ## run the pipeline: data, training, choice, judgement
	@genre fix
	dvc repro

test: $(INSTALLED)  ## run the tests, on all cores
	env -u PYTHONDONTWRITEBYTECODE python -m pytest --numprocesses logical --dist loadfile --no-loadscope-reorder -rs

fuzz: $(INSTALLED)  ## give every reader some 6,000 broken files, 100,000 in all (about ten minutes)
	FUZZ_EXAMPLES=6000 python -m pytest tests/test_fuzz.py

lint: $(INSTALLED)  ## check style and format
	ruff check . && ruff format --check .

mutants: $(INSTALLED)  ## change the code in small ways and see whether the tests notice (about an hour)
	@# Without the hashes: with one in the constraints, pip would ask for one of every package.
	python -m pip install --quiet --disable-pip-version-check --constraint <(sed '/--hash/d; s/ \\$$//' requirements.txt) \
		"$$(grep -o 'cosmic-ray==[0-9.]*' pyproject.toml)"
	python tests/mutants.py

soak: $(INSTALLED)  ## kill the pipeline at random 100 times and compare every byte (about 10 minutes; ROUNDS=10)
	PYTHONPATH=. python tests/soak.py $(ROUNDS)

bench: $(INSTALLED)  ## measure training and the front end against their peers (5 to 15 minutes)
	.ci/install bench/requirements.txt requirements-torch.txt
	python -m bench.training
	python -m bench.front_end

readme: $(INSTALLED)  ## write what was measured, and the picture of the pipeline, into README.md and the guides
	python -m bench.guides

page: $(INSTALLED)  ## write the models as one file that hears songs in a browser: data/model/listen.html
	genre page

LOCK := uv pip compile --quiet --config-file .ci/lock.toml --universal --python-version 3.11 --no-header \
	--generate-hashes --no-emit-package torch
lock:  ## compile pyproject.toml into the pinned lists, with hashes for all but torch (needs uv)
	$(LOCK) --extra test pyproject.toml -o requirements.txt
	$(LOCK) --extra test --extra bench --constraint requirements.txt pyproject.toml -o bench/requirements.txt
	grep -o 'torch==[0-9.]*' pyproject.toml > requirements-torch.txt
	grep -o 'uv==[0-9.]*' pyproject.toml | $(LOCK) --no-annotate - -o .ci/uv.txt

$(INSTALLED): requirements.txt requirements-torch.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) else "error: $(PYTHON): found Python " + v + ", expected 3.11, 3.12 or 3.13; name one, say make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv
	.ci/install requirements.txt requirements-torch.txt
	python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@
