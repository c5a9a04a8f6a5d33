# Thin: each target is one command that can also be typed. Needs only python3 (3.11 or later), make and apt.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo demo-compile test fuzz bench bench-routes prometheus alertmanager

help:  ## print this
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "make %-14s %s\n", $$1, $$2}'

demo: .venv/base.stamp prometheus  ## watch an SLO burn: an alert fires and resolves in a real Prometheus (under 90 s)
	@python -m examples.demo.run

demo-compile: .venv/base.stamp  ## compile slo-specs/ and compare rules/ and dashboards/ with it; needs no server
	@python -m examples.demo.compile

test: .venv/dev.stamp prometheus alertmanager  ## lint, types and tests
	@tools/debian-install node=nodejs npm=npm
	ruff check
	ruff format --check
	mypy
	pytest -n 2

fuzz: .venv/dev.stamp  ## the property tests with many more examples
	pytest -n 2 -m hypothesis --hypothesis-profile=fuzz

bench: .venv/dev.stamp prometheus alertmanager  ## every benchmark: target, measured, ok per row; exit 1 on a miss
	@python -m bench

bench-routes: .venv/dev.stamp prometheus alertmanager  ## routes of 1 000 services, and a page in real time (5 min)
	@python -m bench routes

prometheus:
	@tools/debian-package prometheus 2.42 prometheus promtool

alertmanager:
	@tools/debian-package prometheus-alertmanager 0.25 prometheus-alertmanager amtool

.venv/base.stamp: pyproject.toml tools/virtual-environment
	@tools/virtual-environment $(PYTHON) -e .
	@touch $@

.venv/dev.stamp: pyproject.toml tools/virtual-environment
	@tools/virtual-environment $(PYTHON) -e '.[dev]'
	@touch $@ .venv/base.stamp
