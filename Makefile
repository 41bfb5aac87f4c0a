# The door to everything: each target is a script in scripts/, which says what it needs.
.DEFAULT_GOAL := help
.PHONY: help run test crash check bench bench-identity bench-translate models schema clean

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "make %-16s %s\n", $$1, $$2 }'

run: ## Build, start the gateway with two demo models, print how to use it (PORT=8080 OPS_PORT=9090 MODEL=file-or-folder)
	@scripts/run.sh

test: ## Build, then run all tests: Rust, and end to end with real clients
	@scripts/test.sh

crash: ## Kill the gateway 200 times under load (CRASH_ROUNDS, CRASH_SEED) and look for anything lost
	@scripts/crash.sh

check: ## Format, lints, licences, size of files
	@scripts/check.sh

bench: ## Measure CPU per request beside nginx and bare Pingora; writes benches/RESULTS.md
	@scripts/bench.sh

bench-identity: ## Measure what 10 000 tokens and 1000 endpoints cost; writes benches/RESULTS-identity.md
	@scripts/bench-identity.sh

bench-translate: ## Measure what translating costs for each provider's API; writes benches/RESULTS-translate.md
	@scripts/bench-translate.sh

models: ## Fetch the demo models into .cache/models
	@scripts/models.sh

schema: ## Write the JSON Schema of the config files from the Rust types
	@scripts/schema.sh

clean: ## Remove what was built and fetched; .run (config and state of make run) stays
	@scripts/clean.sh
