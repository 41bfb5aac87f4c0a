#!/usr/bin/env bash
# `make crash`: kill -9 under load, 200 rounds (CRASH_ROUNDS), with the counts at the end. CRASH_SEED repeats a run.
. "$(dirname "$0")/lib.sh"

prepare_tests
export CRASH_ROUNDS=${CRASH_ROUNDS:-200}

say "Killing the gateway $CRASH_ROUNDS times"
exec .venv/bin/python -m pytest tests/test_crash.py
