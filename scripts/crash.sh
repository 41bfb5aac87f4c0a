#!/usr/bin/env bash
# `make crash`: kill -9 under load, 200 rounds (CRASH_ROUNDS), with the counts at the end. CRASH_SEED repeats a run.
. "$(dirname "$0")/lib.sh"

scripts/setup.sh build models test
scripts/models.sh
export WEIRGATE_MODELS=$models
export WEIRGATE_BIN=$target/debug/weirgate
export WEIRGATE_INFERENCE_BIN=$target/debug/weirgate-inference
export WEIRGATE_SHARED=${WEIRGATE_SHARED:-$root/../shared}
export CRASH_ROUNDS=${CRASH_ROUNDS:-200}

say "Building"
cargo build --locked -p weirgate-proxy -p weirgate-inference
say "Killing the gateway $CRASH_ROUNDS times"
exec .venv/bin/python -m pytest tests/test_crash.py
