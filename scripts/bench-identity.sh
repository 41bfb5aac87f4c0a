#!/usr/bin/env bash
# `make bench-identity`: what 10 000 tokens and 1000 endpoints cost. REQUESTS and ROUNDS are described in benches/identity.py.
. "$(dirname "$0")/lib.sh"

scripts/setup.sh build bench-identity
release_gateway
exec python3 benches/identity.py "$WEIRGATE_BIN"
