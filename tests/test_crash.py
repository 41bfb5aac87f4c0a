"""`kill -9` at random moments under concurrent API writes and file edits: nothing that was acknowledged is lost, nothing is half.

CRASH_ROUNDS (20; `make crash`: 200) and CRASH_SEED choose how many and which."""
import os
import random
import subprocess

import pytest

from support import places
from support.crash import World
from support.gateway import Gateway

ROUNDS = int(os.environ.get("CRASH_ROUNDS", 20))
MOST_LEFTOVERS = 20


@pytest.mark.timeout(60 + 15 * ROUNDS)
def test_crash(folders, speaker, capsys):
    seed = int(os.environ.get("CRASH_SEED", random.randrange(10**6)))
    gateway = Gateway(folders())
    world = World(gateway, speaker, seed)
    try:
        gateway.start().wait_ready()
        world.prepare()
        for _ in range(ROUNDS):
            world.live_and_die()
            checked = subprocess.run([places.gateway_binary(), "check", gateway.config], capture_output=True, text=True, timeout=20)
            assert checked.returncode == 0, f"seed {seed}: a file is not whole:\n{checked.stdout}"
            speaker.clear()
            gateway.start().wait_ready()
            world.verify()
        others = [f.name for f in (gateway.config / "endpoints").iterdir() if f.suffix != ".yaml"]
        assert len(others) <= MOST_LEFTOVERS, f"temporary files pile up: {others}"
        gateway.stop()
    except BaseException as failure:
        failure.add_note(f"CRASH_SEED={seed}")
        raise
    finally:
        if gateway.process.poll() is None:
            gateway.process.kill()
    counts = ", ".join(f"{count} {kind}" for kind, count in world.counts().items())
    with capsys.disabled():
        print(f"\ncrash: {ROUNDS} rounds of kill -9 (seed {seed}); writes acknowledged: {counts};",
              f"facts verified after restarts: {world.verified}; lost: 0")
