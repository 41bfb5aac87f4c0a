#!/usr/bin/env bash
# Removes what can be built or fetched again. .run stays: it holds edits and state of `make run`.
. "$(dirname "$0")/lib.sh"

rm -rf "$target" .venv "$cache" .pytest_cache
find tests benches scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
