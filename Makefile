# vitalgate: the commands that people and CI run. Each does its own set-up; CONTRIBUTING.md says more.
#
#   make demo                       build, then watch readings on their way, with no hardware
#   make demo ARGS="--once --json"  the same, one summary on standard output (everything else goes to standard error)
#   make test                       everything that CI holds
#   make rig                        the Bluetooth suite in a virtual machine; a short way through it is in make test

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test rig bench fuzz soak lint

ARGS ?=

help:
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name what; do printf 'make %-6s %s\n' "$$name" "$$what"; done

demo: ## build the release binary and run the demo (ARGS are passed on)
	@Scripts/demo.sh $(ARGS)

test: ## every check that CI runs; prints the time of each phase and what it skipped
	@Scripts/test.sh $(ARGS)

rig: ## the suite on a real kernel with a virtual radio
	@Scripts/rig.sh $(ARGS)

bench: ## ratios beside Python, a bare fsync and libcurl, in one run
	@Benchmarks/bench.sh $(ARGS)

fuzz: ## every decoder under libFuzzer and AddressSanitizer, five minutes each
	@Scripts/setup.sh build
	@Fuzz/fuzz.sh $(ARGS)

soak: ## the crash rig with 1,000 kills, the power cuts with many images
	@Scripts/soak.sh $(ARGS)

lint: ## swift format, strict; shell and Python scripts parse
	@Scripts/lint.sh
