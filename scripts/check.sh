#!/usr/bin/env bash
# Format, lints, licences, size of files: what needs no running program.
. "$(dirname "$0")/lib.sh"

scripts/setup.sh build check

say "Format"
cargo fmt --all --check

say "Lints"
cargo clippy --workspace --all-targets --locked -- -D warnings

say "Licences"
python3 scripts/licences.py

say "Size of files"
limit=600
long=$(git ls-files --cached --others --exclude-standard '*.rs' '*.py' '*.sh' | while read -r file; do
    [ -f "$file" ] || continue
    lines=$(wc -l <"$file")
    [ "$lines" -le $limit ] || echo "  $file: $lines lines"
done)
[ -z "$long" ] || die "longer than $limit lines, split by reason to change:
$long"

say "make check passed"
