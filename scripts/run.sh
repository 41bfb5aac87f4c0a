#!/usr/bin/env bash
# `make run`: from a bare machine to a gateway with two demo models. PORT, OPS_PORT and MODEL are described in run.py.
. "$(dirname "$0")/lib.sh"

scripts/setup.sh build models
scripts/models.sh
if [ -x "$target/release/weirgate" ]; then
    say "Building what changed"
else
    say "Building; the first time takes some minutes"
fi
cargo build --quiet --release --locked -p weirgate-proxy -p weirgate-inference
exec python3 scripts/run.py "$target/release/weirgate" "$models"
