"""Makes tokens.json: the token ids of awkward strings for both demo models' tokenizers.

Usage: python make_tokens.py PATH/SmolLM2-135M-Instruct.Q4_1.gguf PATH/all-MiniLM-L6-v2
As for make_smollm2.py, SmolLM2's tokenizer gets the digit rule that transformers drops.
"""

import json
import pathlib
import sys

from texts import AWKWARD
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer, BertTokenizerFast


def main():
    gguf, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    smollm2 = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    smollm2.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    minilm = BertTokenizerFast.from_pretrained(folder)
    lines = []
    for text in AWKWARD:
        ids = [tokenizer(text, truncation=False, padding=False)["input_ids"] for tokenizer in (smollm2, minilm)]
        decoded = smollm2.decode(ids[0], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        lines.append(json.dumps({"text": text, "smollm2": ids[0], "minilm": ids[1], "decoded": decoded}))
    pathlib.Path(__file__).with_name("tokens.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(len(lines), "texts")


main()
