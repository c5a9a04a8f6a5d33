# Thin: each target is one command that can also be typed. Needs only python3 (3.11 or later), make and apt.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo demo-compile test fuzz bench prometheus alertmanager mosquitto redis rabbitmq nats postgresql pictures
.PHONY: bench-canary bench-canary-server bench-dashboards bench-instrumentation bench-language bench-proof bench-routes bench-rules

help:  ## print this
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "make %-22s %s\n", $$1, $$2}'

# ARGS=--keep leaves everything up until Ctrl-C; ARGS="--port 9600" takes known ports.
demo: .venv/demo.stamp prometheus alertmanager mosquitto redis postgresql  ## a bad canary, an outage, a page, its cause
	@python -m examples.tracking_pipeline.run $(ARGS)

demo-compile: .venv/base.stamp  ## compile slo-specs/ and compare rules/ and dashboards/ with it; needs no server
	@python -m examples.demo.compile

test: .venv/dev.stamp prometheus alertmanager mosquitto redis rabbitmq nats postgresql .cache/oldest-fastapi .cache/arq  ## lint, types and tests
	@tools/debian-install node=nodejs npm=npm chromium=chromium
	ruff check
	ruff format --check
	mypy
	pytest -n 2 --dist loadgroup

fuzz: .venv/dev.stamp  ## the property tests with many more examples
	pytest -n 2 -m hypothesis --hypothesis-profile=fuzz

pictures: .venv/dev.stamp prometheus alertmanager mosquitto redis postgresql  ## docs/pictures, with real numbers
	@tools/debian-install chromium=chromium
	@python -m examples.pictures.architecture
	@python -m examples.tracking_pipeline.run --pictures docs/pictures
	@python -m examples.pictures.run

bench-dashboards: .venv/dev.stamp  ## what a thousand SLOs cost as dashboards
	@python -m bench dashboards

bench-instrumentation: .venv/dev.stamp  ## what the middleware costs a request, beside what people stack today
	@python -m bench instrumentation

bench: .venv/dev.stamp prometheus alertmanager postgresql  ## every benchmark: target, measured, ok per row; exit 1 on a miss
	@python -m bench

bench-canary: .venv/dev.stamp prometheus  ## canary rules side by side, simulated and on a real Prometheus (ten minutes)
	@python -m bench canary canary-latency canary-live

bench-canary-server: .venv/dev.stamp prometheus postgresql  ## the webhook at 64 at once, with faults, kill -9, replicas (25 min)
	@python -m bench canary-server

bench-proof: .venv/dev.stamp prometheus  ## every proof of slo-specs/, and how many broken rules the proofs catch (some 12 min)
	@python -m bench proof

bench-language: .venv/dev.stamp  ## what 10 000 SLOs cost the compiler, beside a bare YAML load (some 5 min)
	@python -m bench language

bench-rules: .venv/dev.stamp prometheus  ## the rules' accuracy, cost, false pages and fire times; then live (some 8 min)
	@python -m bench rules rules-live

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
.cache/oldest-fastapi: .venv/dev.stamp
	@python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $@ \
		fastapi==0.115.3 starlette==0.41.3
	@touch $@

# arq wants a Redis client that is older than the one of everybody else.
.cache/arq: .venv/dev.stamp
	@python -m pip install --quiet --disable-pip-version-check --upgrade --target $@ 'arq>=0.26'
	@touch $@

.venv/base.stamp: pyproject.toml tools/virtual-environment
	@tools/virtual-environment $(PYTHON) -e .
	@touch $@

.venv/demo.stamp: pyproject.toml tools/virtual-environment
	@tools/virtual-environment $(PYTHON) -e '.[demo]'
	@touch $@ .venv/base.stamp

.venv/dev.stamp: pyproject.toml tools/virtual-environment
	@tools/virtual-environment $(PYTHON) -e '.[dev]'
	@touch $@ .venv/base.stamp .venv/demo.stamp
