#!/usr/bin/env bash
# Writes the JSON Schema of the config files from the Rust types; a test fails when the copy in the repository is stale.
. "$(dirname "$0")/lib.sh"

scripts/setup.sh build
cargo run --quiet --locked -p weirgate-proxy --bin weirgate -- schema --write config/schema
say "config/schema is up to date"
