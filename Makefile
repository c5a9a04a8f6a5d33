# Thin: each target is one command that can also be typed. Needs only python3 (3.11 or later), make and apt.
PYTHON ?= python3
# What differs between Pythons: types, texts, warnings. `make test-pythons` runs all unit tests.
OTHER_PYTHONS := $(addprefix tests/,model promql language resolve checks diagnostics cli/test_main.py test_compiler.py)
PYTEST := -q -n 5 --dist loadgroup --durations 20 --durations-min 5
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo demo-compile test test-newest test-oldest test-pythons fuzz bench pictures lock release
.PHONY: prometheus alertmanager mosquitto redis rabbitmq nats postgresql
.PHONY: bench-engines bench-why bench-canary bench-canary-server bench-dashboards bench-history bench-instrumentation bench-language bench-proof bench-routes bench-rules

help:  ## print this
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "make %-22s %s\n", $$1, $$2}'

# ARGS=--keep leaves everything up until Ctrl-C; ARGS="--port 9600" takes known ports.
demo: .venv/demo.stamp prometheus alertmanager mosquitto redis postgresql  ## a bad canary, an outage, a page, its cause
	@python -m examples.tracking_pipeline.run $(ARGS)

demo-compile: .venv/base.stamp  ## compile slo-specs/ and compare rules/ and dashboards/ with it; needs no server
	@python -m examples.demo.compile

test: .venv/dev.stamp prometheus alertmanager mosquitto redis rabbitmq nats postgresql .cache/oldest-fastapi .cache/arq .cache/kafka  ## lint, types and tests
	@tools/debian-install node=nodejs npm=npm chromium=chromium
	ruff check
	ruff format --check
	mypy
	@tools/other-pythons -q -n 2 $(OTHER_PYTHONS)
	pytest $(PYTEST:-q=)

test-newest: .venv/uv.stamp  ## the unit tests with the newest versions that pyproject.toml allows
	@tools/unit-tests newest $(PYTHON) $(PYTEST)

test-oldest: .venv/uv.stamp  ## the unit tests with the oldest versions that pyproject.toml allows
	@tools/unit-tests oldest $(PYTHON) $(PYTEST)

test-pythons: .venv/uv.stamp  ## the unit tests on each other Python of pyproject.toml that this machine has
	@tools/other-pythons $(PYTEST)

lock: .venv/uv.stamp  ## requirements/ from pyproject.toml; ARGS=--upgrade takes the newest versions
	@tools/lock $(ARGS)

release: .venv/dev.stamp  ## build the wheel into dist/ and say what this version still lacks
	@python -m tools.release

fuzz: .venv/dev.stamp  ## the property tests with many more examples
	pytest -n 2 -m hypothesis --hypothesis-profile=fuzz

pictures: .venv/dev.stamp prometheus alertmanager mosquitto redis postgresql  ## docs/pictures, with real numbers
	@tools/debian-install chromium=chromium
	@python -m examples.pictures.architecture
	@python -m examples.tracking_pipeline.run --pictures docs/pictures
	@python -m examples.pictures.run
	@python -m examples.history.run

bench-dashboards: .venv/dev.stamp  ## what a thousand SLOs cost as dashboards
	@python -m bench dashboards

bench-instrumentation: .venv/dev.stamp  ## what the middleware costs a request, beside what people stack today
	@python -m bench instrumentation

bench: .venv/dev.stamp prometheus alertmanager postgresql  ## every benchmark: target, measured, ok per row; exit 1 on a miss
	@python -m bench

bench-canary: .venv/dev.stamp prometheus  ## canary rules side by side, simulated and on a real Prometheus (ten minutes)
	@python -m bench canary canary-latency canary-store canary-live

bench-canary-server: .venv/dev.stamp prometheus postgresql  ## the webhook at 64 at once, with faults, kill -9, replicas (25 min)
	@python -m bench canary-server

bench-proof: .venv/dev.stamp prometheus  ## every proof of slo-specs/, 1 000 SLOs, and how many broken rules are caught (some 5 min)
	@python -m bench proof

bench-language: .venv/dev.stamp  ## what 10 000 SLOs cost the compiler, beside a bare YAML load (some 5 min)
	@python -m bench language

bench-rules: .venv/dev.stamp prometheus  ## the rules' accuracy, cost, false pages and fire times; then live (some 8 min)
	@python -m bench rules rules-live

bench-engines: .venv/dev.stamp prometheus  ## the worlds of the rules on each Prometheus that can be had (some 20 min)
	@python -m bench engines

bench-why: .venv/dev.stamp prometheus  ## how often the first answer of `sloctl why` is the cause, and what it costs
	@python -m bench why why-live

bench-history: .venv/dev.stamp prometheus  ## backtests and backfill: what they cost, and that they are right (some 10 min)
	@python -m bench history history-live

bench-routes: .venv/dev.stamp prometheus alertmanager  ## routes of 1 000 services, and a page in real time (5 min)
	@python -m bench routes routes-live

prometheus:
	@tools/debian-package prometheus 2.42 prometheus promtool

alertmanager:
	@tools/debian-package prometheus-alertmanager 0.25 prometheus-alertmanager amtool

mosquitto:
	@tools/debian-package mosquitto 2.0 mosquitto

redis:
	@tools/debian-package redis-server+redis-tools 6.0 redis-server

# RabbitMQ with the parts of Erlang that it needs; both run from where they are unpacked.
ERLANG = base crypto eldap inets mnesia os-mon parsetools public-key runtime-tools ssl syntax-tools tools xmerl asn1
empty =
space = $(empty) $(empty)
rabbitmq:
	@tools/debian-package rabbitmq-server+$(subst $(space),+,$(ERLANG:%=erlang-%)) - erl

nats:
	@tools/debian-package nats-server 2.2 nats-server

postgresql:
	@tools/debian-package postgresql 13 postgres initdb

# The oldest FastAPI whose routes are told apart, beside the newest one in .venv.
.cache/oldest-fastapi: .venv/uv.stamp requirements/oldest-fastapi.txt
	@rm -rf $@
	@uv pip install --quiet --python .venv --no-deps --require-hashes --target $@ -r requirements/oldest-fastapi.txt
	@touch $@

# arq wants a Redis client that is older than the one of everybody else.
.cache/arq: .venv/uv.stamp requirements/arq.txt
	@rm -rf $@
	@uv pip install --quiet --python .venv --require-hashes --target $@ -r requirements/arq.txt
	@touch $@

# A Kafka, where Java and Maven are; everywhere the tests also have the mock cluster of librdkafka.
.cache/kafka: tools/kafka.xml
	@if command -v java >/dev/null && command -v mvn >/dev/null; then \
	    echo "Downloading Kafka's jars (not installed, nothing is started)"; rm -rf $@ $@.new; \
	    mvn -q -B -C -f $< dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/$@.new && \
	    mv $@.new $@ || { rm -rf $@.new; echo "They cannot be had here; the tests with a real Kafka are skipped"; }; \
	fi

.venv/uv.stamp: requirements/install.txt tools/virtual-environment
	@tools/virtual-environment $(PYTHON)
	@touch $@

# Exactly what the lock names, and the project itself; the environment of tests serves for the others as well.
.venv/base.stamp .venv/demo.stamp .venv/dev.stamp: .venv/uv.stamp pyproject.toml $(wildcard requirements/*.txt)
	@echo "Installing requirements/$(@F:.stamp=.txt) into .venv"
	@uv pip sync --quiet --python .venv --require-hashes requirements/install.txt requirements/$(@F:.stamp=.txt)
	@uv pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	@touch $(patsubst %,.venv/%.stamp,$(patsubst dev,base demo dev,$(patsubst demo,base demo,$(basename $(@F)))))
