#!/usr/bin/env bash
# All tests: the crates' own, then end to end against the real binaries with real clients. Ends with the runners' summaries.
. "$(dirname "$0")/lib.sh"

prepare_tests

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# Shows a run as it goes, keeps its output in $logs/$1, and lets the next run start even if this one failed.
failed=
step() {
    local name=$1
    shift
    "$@" </dev/null 2>&1 | tee "$logs/$name" || failed="$failed $name"
}
set -o pipefail

say "Rust tests"
step cargo cargo test --workspace --locked --no-fail-fast
say "End to end tests"
step pytest .venv/bin/python -m pytest tests

say "Summary"
grep -E '^(test result:|error: test failed|     Running|   Doc-tests)' "$logs/cargo" || true
grep '^crash:' "$logs/pytest" || true
tail -n 1 "$logs/pytest"
[ -z "$failed" ] || die "failed:$failed"
say "make test passed"
