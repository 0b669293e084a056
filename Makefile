# Everything a developer calls. `make demo` and `make test` are enough to begin with; they install what they need.

.DEFAULT_GOAL := help
.SILENT:
.PHONY: help venv demo up down status test test-unit test-component test-integration test-random test-clouds test-postgres test-several test-proxy test-rotation test-rosters test-stranger test-upgrade docs-test docs-tables test-hostile chaos-sample celery-test wheel-test compose-env digests compose-test screenshots chromium lint chaos fuzz audit audit-ages sbom bench-visit bench-page bench-million bench-cluster bench-waits bench-polls bench-start lock bench bench-quick clean

VENV   := .venv
PYTHON := $(VENV)/bin/python
UV     := $(VENV)/bin/uv
UV_PIN := uv==0.13.9

# Installed again only when one of these changes.
LOCKS  := locks/uv.txt locks/venv.txt locks/google.txt
PINS   := $(LOCKS) pyproject.toml
STAMP  := $(VENV)/.installed-$(shell cat $(PINS) | cksum | tr ' ' '-')
CODE   := $(wildcard dags plugins/learnosity plugins/learnosity_plugin.py simulator devstack chaos benchmarks compose supply tests)

help: ## this list
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP) ## a virtual environment with everything pinned, in .venv

$(UV):
	python=; for each in python3 python3.13 python3.12 python3.11 python; do \
	  if $$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; \
	  then python=$$each; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "Python 3.11, 3.12, 3.13 or 3.14 is needed and not on the PATH. Install one and try again." >&2; exit 1; fi; \
	echo "Making $(VENV) with $$($$python --version)"; \
	$$python -m venv $(VENV) || { \
	  echo "The venv module is missing; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement locks/uv.txt

$(STAMP): $(PINS) | $(UV)
	echo "Installing the pinned packages (a minute the first time)"
	$(UV) pip install --quiet --compile-bytecode --python $(PYTHON) --require-hashes --requirement locks/venv.txt
	$(UV) pip install --quiet --python $(PYTHON) --no-deps --require-hashes --requirement locks/google.txt
	$(UV) pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	rm -f $(VENV)/.installed-*
	touch $@

demo: venv ## land and verify a dataset of 20,000 users on this machine: S3, simulator, Airflow
	$(PYTHON) -m devstack demo $(ARGS)

up: venv ## start the same services and leave them running, with Airflow's UI; ARGS=--test-button: connections can be tested in it
	$(PYTHON) -m devstack up $(ARGS)

down: venv ## stop what `make up` started; its data stays
	$(PYTHON) -m devstack down

status: venv ## what of it runs, and where
	$(PYTHON) -m devstack status

# Parts run side by side, because most of their tests wait; those with an Airflow of their own follow, two at once.
test: venv chromium ## style, types and all tests but those of Celery, PostgreSQL, the clouds' servers, hostile data and the wheel, which have targets
	echo "Tests run in parts, side by side. Each part shows its results when it ends."
	$(MAKE) --no-print-directory --output-sync=target --keep-going --jobs=5 lint part-replies part-stores part-components part-rest
	$(MAKE) --no-print-directory --output-sync=target --keep-going --jobs=2 part-airflow part-browser

# What a store may reply and what is made of it, and the proxies of all clients. The other tests of stores take as long.
REPLIES := tests/component/test_egress.py $(addprefix tests/component/storage/test_,errors.py odd_success.py)

part-replies:
	$(PYTHON) -m pytest $(REPLIES) $(ARGS)

part-stores:
	$(PYTHON) -m pytest tests/component/storage $(REPLIES:%=--ignore=%) $(ARGS)

part-components:
	$(PYTHON) -m pytest tests/component --ignore=tests/component/storage --ignore=tests/component/test_egress.py $(ARGS)

part-airflow:
	$(PYTHON) -m pytest tests/integration -m "not slow" $(ARGS)

part-browser:
	$(PYTHON) -m pytest tests/browser -m "not slow" $(ARGS)

part-rest:
	$(PYTHON) -m pytest --ignore=tests/component --ignore=tests/browser --ignore=tests/integration --ignore=tests/clouds --ignore=tests/hostile $(ARGS)

test-unit: venv ## the tests that start no server
	$(PYTHON) -m pytest tests/unit tests/fuzz $(ARGS)

test-component: venv ## parts of the product against a real S3 server, the simulator and hand-made servers
	$(PYTHON) -m pytest tests/component tests/contract tests/recipes tests/simulator tests/devstack $(ARGS)

test-integration: venv ## the tests against a real Airflow, S3 server and simulator
	$(PYTHON) -m pytest tests/integration -m "not slow" $(ARGS)

test-random: venv ## the property tests with other inputs each time, and ten times as many (three minutes)
	$(PYTHON) -m pytest tests/unit tests/simulator tests/component -m hypothesis --hypothesis-profile=random $(ARGS)

test-clouds: .clouds/node_modules/azurite ## every kind of store on a real server: S3, Azure, GCS, files, fsspec; and the DAG on each
	$(PYTHON) -m pytest tests/clouds $(ARGS)

.clouds/node_modules/azurite: tests/clouds/azurite-version | venv
	mkdir -p .clouds
	PATH="$$PATH:$(CURDIR)/$(VENV)/bin" npm install --silent --no-audit --no-fund --prefix .clouds azurite@$$(cat $<)
	touch $@

test-postgres: venv chromium ## what needs PostgreSQL: publications at the same moment, the start of compose, FAB's roles, the sample from a warehouse
	$(PYTHON) -m pytest tests/integration/test_assets.py tests/integration/test_run_notes.py tests/integration/test_warehouse.py tests/integration/test_compose_init.py tests/browser/test_roles.py $(ARGS)

test-several: venv chromium ## DAGs that use datasets, and runs that make several, in a browser
	$(PYTHON) -m pytest tests/browser/test_dags.py tests/browser/test_several_datasets.py $(ARGS)

test-proxy: venv chromium ## behind nginx with TLS and a path, as deploy/nginx.conf has it, in a browser (a minute)
	$(PYTHON) -m pytest tests/browser/test_proxy.py $(ARGS)

test-rotation: venv ## a new Fernet key while a wait is deferred (three minutes)
	$(PYTHON) -m pytest tests/integration/test_key_rotation.py $(ARGS)

test-rosters: venv ## every format and packing of input, and hostile files, on S3 through the whole DAG (three minutes)
	$(PYTHON) -m pytest tests/integration/test_rosters.py $(ARGS)

test-stranger: venv chromium ## from an empty clone by README's lines for a team: own store, TLS and a path, page and report (three minutes)
	$(PYTHON) -m pytest tests/browser/test_stranger.py $(ARGS)

test-upgrade: venv ## backup into empty volumes, a new key, an upgrade from UPGRADE_FROM=HEAD~1, each with runs in flight (20 minutes)
	UPGRADE_FROM=$(or $(UPGRADE_FROM),HEAD~1) $(PYTHON) -m pytest tests/integration/test_upgrade.py $(ARGS)

docs-test: venv ## what README and docs say: links, names, tables, versions; their commands are run in a clone (six minutes)
	$(PYTHON) -m pytest tests/unit/test_docs.py tests/unit/test_claims.py tests/unit/test_audited.py tests/unit/test_sentences.py tests/unit/test_deploy.py tests/integration/test_docs_commands.py $(ARGS)

docs-tables: venv ## write README's tables of params and dataset types from the code
	$(PYTHON) -m devstack.tables

test-hostile: venv ## what a page costs the API server, whatever lies in the store (two minutes)
	$(PYTHON) -m pytest --log-cli-level=INFO tests/hostile $(ARGS)

chaos-sample: venv ## two minutes of make chaos, as in make test
	$(PYTHON) -m pytest tests/integration/test_chaos_sample.py $(ARGS)

celery-test: venv ## two Celery workers on PostgreSQL and Redis, as plain processes: shared landing, 50 runs at once
	CELERY_RUNS=$(or $(RUNS),50) $(PYTHON) -m pytest --log-cli-level=INFO \
	  tests/integration/test_celery.py tests/integration/test_quota.py $(ARGS)

wheel-test: venv ## build the wheel, install it beside Airflow, land a dataset (WHEEL_PYTHON=… for another Python)
	$(PYTHON) -m pytest tests/integration/test_wheel.py $(ARGS)

compose-env: ## write .env for docker-compose.yaml with generated keys (ARGS=--demo: for its simulator)
	python3 -m compose.env $(ARGS)

digests: ## pin the images of docker-compose.yaml in .env by digest, as their registries have them now
	python3 -m compose.digests $(ARGS)

compose-test: venv ## bring docker-compose.yaml up, land a dataset, break things, upgrade, verify
	$(PYTHON) -m compose.proof $(ARGS)

screenshots: venv ## take the README's pictures again, from a real run in a headless Chromium
	$(PYTHON) -m devstack.screenshots

chromium: ## the browser of the browser tests, from the distribution's packages where it is missing and may be installed
	for each in chromium chromium-browser google-chrome google-chrome-stable; do \
	  command -v $$each >/dev/null && exit 0; done; \
	root=; [ "$$(id -u)" = 0 ] || root='sudo -n'; \
	echo "Installing Chromium for the browser tests"; \
	{ $$root apt-get update -qq && $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } \
	  >/dev/null 2>&1 || echo "No Chromium, and none could be installed: the browser tests will say so" >&2

lint: venv ## style, formatting and types
	$(PYTHON) -m ruff check --quiet .
	$(PYTHON) -m ruff format --quiet --check .
	$(PYTHON) -m mypy --no-error-summary $(CODE)

chaos: venv ## 250 runs against faults and killed processes; ARGS="--seed 17" repeats one (half an hour on two cores)
	$(PYTHON) -m chaos $(ARGS)

fuzz: venv ## a million hostile inputs for everything that reads what others wrote (a quarter of an hour)
	$(PYTHON) -m chaos.fuzzing $(ARGS)

audit: venv ## known vulnerabilities, keepers, age and withdrawals of the pinned packages; fails, too, when they cannot be asked for
	{ said=$$($(VENV)/bin/pip-audit --vulnerability-service osv --strict --no-deps --disable-pip \
	    --progress-spinner off $(LOCKS:%=--requirement %) $(ARGS) 2>&1 >&3); } 3>&1 && code=0 || code=$$?; \
	printf '%s\n' "$$said" | tail -n 1 >&2; \
	[ $$code = 0 ] || echo "The audit did NOT pass: a vulnerability is known, or not every package was looked up." >&2; \
	echo "Packages that secrets pass:"; $(PYTHON) -m supply keepers || code=1; \
	$(PYTHON) -m supply ages || code=1; exit $$code

audit-ages: venv ## of each pinned package: its age, its newest version, whether it was withdrawn
	$(PYTHON) -m supply ages

sbom: venv ## dist/sbom.cdx.json, the bill of materials, and dist/licences.txt
	$(PYTHON) -m supply sbom

bench-visit: venv chromium ## a new user's first visit, from make up to a result: wall and processor time by phase (a minute or two)
	$(PYTHON) -m benchmarks.visit $(ARGS)

bench-page: venv chromium ## how fast the pages of a dataset of 12,202 files and 200,000 users open, and Find (five minutes)
	$(PYTHON) -m benchmarks.page $(ARGS)

bench-million: venv ## how landing grows up to 1,000,000 files: seconds, memory, API calls (30 minutes); ARGS="--files 10000,50000" is short
	$(PYTHON) -m benchmarks.million $(ARGS)

bench-cluster: venv chromium ## a million files through the whole DAG, on PostgreSQL, Redis and two Celery workers: seconds, memory, database, pages (25 minutes)
	$(PYTHON) -m benchmarks.cluster $(ARGS)

bench-waits: venv ## what 1,000 concurrent waits cost, and how soon a task goes on when its job is done
	$(PYTHON) -m benchmarks.waits $(ARGS)
	$(PYTHON) -m benchmarks.resumed

bench-polls: venv ## how soon the end of a job is seen and for how many calls, with and without learning (half a minute)
	$(PYTHON) -m benchmarks.polls $(ARGS)

bench-start: venv ## processor time that DAG file, plugin and store add to each task process; parsing 200 schedules (a minute)
	$(PYTHON) -m benchmarks.start $(ARGS)

# Of every platform and Python: the files that the index has for a version, each with its SHA-256.
COMPILE := $(UV) pip compile --quiet --universal --no-emit-index-url --no-header
HASHED  := $(COMPILE) --python-version 3.11 --generate-hashes --no-annotate --constraint constraints.txt

lock: $(UV) ## refresh constraints.txt and locks/ from the requirements: ARGS=--upgrade for newer versions of what they need
	$(COMPILE) --python-version 3.11 $(ARGS) --output-file constraints.txt requirements.txt requirements-dev.txt
	$(HASHED) --output-file locks/image.txt requirements.txt
	$(HASHED) --output-file locks/venv.txt requirements.txt requirements-dev.txt
	$(COMPILE) --python-version 3.11.3 --generate-hashes --no-annotate --no-deps --output-file locks/google.txt requirements-google.txt
	echo "$(UV_PIN)" | $(HASHED) --output-file locks/uv.txt -

bench: .bench/bin/rclone ## measure landing and upload against rclone and curl (45 minutes); see docs/performance.md
	$(PYTHON) -m benchmarks --chart $(ARGS)

bench-quick: .bench/bin/rclone ## the first row of it, in under a minute
	$(PYTHON) -m benchmarks --quick

.bench/bin/rclone: benchmarks/peers.txt | venv
	command -v nginx /usr/sbin/nginx >/dev/null || { echo "nginx is the source: apt install nginx-light" >&2; exit 1; }
	$(UV) venv --quiet --allow-existing .bench
	$(UV) pip install --quiet --python .bench/bin/python --requirement benchmarks/peers.txt
	touch $@

clean: ## stop what runs and remove what was generated, but not .venv, .bench and .clouds, which are installations
	[ ! -x $(PYTHON) ] || $(PYTHON) -m devstack down
	rm -rf .devstack .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist logs *.egg-info benchmarks/latest.json
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
