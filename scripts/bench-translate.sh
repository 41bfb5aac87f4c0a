#!/usr/bin/env bash
# `make bench-translate`: CPU of translating, for each API of each provider, beside passing on the client's own schema.
. "$(dirname "$0")/lib.sh"

scripts/setup.sh build
say "Building for release"
cargo build --quiet --release --locked -p weirgate-bench-translate
results=benches/RESULTS-translate.md
tables=$("$target/release/weirgate-bench-translate")
version=$(git describe --always --dirty)
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
{
    printf '# What translation costs\n\n'
    printf 'Written by `make bench-translate` on %s.\n\n' "$(date -u '+%F %H:%M UTC')"
    printf 'Machine: %s, %s cores, Linux %s, load average %s at the end. Weirgate %s.\n\n' "${cpu:-$(uname -m)}" \
        "$(nproc)" "$(uname -r)" "$(cut -d ' ' -f 1-3 /proc/loadavg)" "$version"
    printf '%s\n' "CPU time of one thread, medians of 15 rounds that alternate between a case and its pass-through: the same text" \
        "in the client's own schema, peeked, spliced and checked as for provider \`openai\`. No I/O. benches/translate has the cases." ""
    printf '%s\n' "$tables"
} >$results
say "wrote $results"
