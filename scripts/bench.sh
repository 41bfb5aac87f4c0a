#!/usr/bin/env bash
# `make bench`: CPU per request of the gateway beside nginx and bare Pingora. ROUNDS and REQUESTS are described in benches/run.py.
. "$(dirname "$0")/lib.sh"

scripts/setup.sh build bench
say "Building for release"
cargo build --quiet --release --locked -p weirgate-benches
if [ -z "${WEIRGATE_BIN:-}" ]; then
    cargo build --quiet --release --locked -p weirgate-proxy
    WEIRGATE_BIN=$target/release/weirgate
fi
exec python3 benches/run.py "$target/release" "$WEIRGATE_BIN"
