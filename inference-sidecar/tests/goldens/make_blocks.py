"""Makes blocks.json: random quantised blocks and what ggml's own Python package reads out of them.

Usage: python make_blocks.py   (needs gguf, numpy)
"""

import json
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf import quants

# Bytes of a block, and where its half-precision scales stand (random bytes there could be infinite).
FORMS = {Kind.Q8_0: (34, [0]), Kind.Q4_0: (18, [0]), Kind.Q4_1: (20, [0, 2]), Kind.Q4_K: (144, [0, 2]), Kind.Q6_K: (210, [208])}


def main():
    random = np.random.default_rng(7)
    cases = []
    for kind, (size, scales) in FORMS.items():
        blocks = random.integers(0, 256, (2, size), dtype=np.uint8)
        for at in scales:
            blocks[:, at : at + 2] = random.normal(0, 0.1, (2, 1)).astype(np.float16).view(np.uint8)
        values = quants.dequantize(blocks, kind).reshape(-1)
        cases.append({"dtype": kind.name, "bytes": blocks.reshape(-1).tolist(), "values": [float(v) for v in values]})
    lines = ",\n".join(json.dumps(case) for case in cases)
    pathlib.Path(__file__).with_name("blocks.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


main()
