"""Checks the licence of every package in Cargo.lock against the allow list in deny.toml.

What `cargo deny check licenses` does, without the minutes that cargo-deny takes to build. deny.toml is in its format, so
whoever has it can run it too.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def allowed(expression: str, allow: set[str]) -> bool:
    """Whether an SPDX expression can be met with the licences of `allow` alone.

    SPDX 2.3 annex D: WITH binds closest, then AND, then OR. `A/B` is cargo's old way to say `A OR B`.
    """
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def joined(operator: str, operand: Callable[[], bool], together: Callable[[list[bool]], bool]) -> bool:
        met = [operand()]
        while tokens and tokens[0] == operator:
            tokens.pop(0)
            met.append(operand())
        return together(met)

    def alternatives() -> bool:
        return joined("OR", lambda: joined("AND", licence, all), any)

    def licence() -> bool:
        name = tokens.pop(0)
        if name == "(":
            met = alternatives()
            tokens.pop(0)
            return met
        if tokens and tokens[0] == "WITH":
            name = " ".join([name, tokens.pop(0), tokens.pop(0)])
        return name in allow

    return alternatives()


def main() -> int:
    rules = tomllib.loads((ROOT / "deny.toml").read_text())["licenses"]
    allow = set(rules["allow"])
    extra = {rule["crate"]: set(rule["allow"]) for rule in rules.get("exceptions", [])}
    metadata = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    packages = json.loads(metadata.stdout)["packages"]
    refused = [
        f"  {package['name']} {package['version']}: {package['license'] or 'no licence named'}"
        for package in packages
        if not package["license"] or not allowed(package["license"], allow | extra.get(package["name"], set()))
    ]
    if refused:
        print("licences outside the allow list of deny.toml:", *sorted(refused), sep="\n", file=sys.stderr)
        return 1
    print(f"{len(packages)} packages, all under licences that deny.toml allows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
