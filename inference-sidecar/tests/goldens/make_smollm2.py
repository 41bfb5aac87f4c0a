"""Makes smollm2.json: what transformers (CPU PyTorch, f32) generates greedily from SmolLM2's GGUF file.

Usage: python make_smollm2.py PATH/SmolLM2-135M-Instruct.Q4_1.gguf
Needs torch, transformers, gguf, numpy. Run by hand when the goldens are to be made anew; the tests only read the result.

The tokenizer that transformers 5 builds from a GGUF file ignores `tokenizer.ggml.pre` and cuts words as GPT-2 does.
SmolLM2's own tokenizer.json has `Digits(individual_digits)` before that, which is put in here.
"""

import json
import pathlib
import sys

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

NEW_TOKENS = 32
LOGITS = 64  # of the first step, enough to compare without storing 49,152

LONG = (
    "The river rises in the hills above the old town, where three springs meet under a stand of beech. For the first mile "
    "it is no more than a ditch, and cattle step across it without looking down. Then the mill stream joins it, and the "
    "drain from the quarry, and below the railway bridge it is wide enough to carry a boat. In 1843 the town council paid "
    "412 pounds and 10 shillings for a weir, so that the tannery could have a head of water even in August. The weir broke "
    "twice, in 1861 and again in 1879, and each time the tanners paid for the repair out of their own pockets because the "
    "council said that it had never been asked about the height of the second course of stones. After the second flood an "
    "engineer named Thomas Hallam was brought from Sheffield. He walked the banks for a week with a boy who carried the "
    "chain, and wrote a report of eleven pages. The report says that a gate is better than a wall: a wall decides once, "
    "and a gate decides every day. The council read the report, thanked Mr Hallam, paid him nine guineas, and built a "
    "wall. It stood for thirty years. When it fell, in the wet spring of 1911, the people of the lower town "
)

RAW = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea,",
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n",
    "1, 2, 3, 5, 8, 13, 21,",
    "Die Hauptstadt von Österreich heißt",
    "日本の首都は",
    "Q: What is 17 + 25?\nA:",
    "SELECT name, COUNT(*) FROM users WHERE created_at >= '2024-01-01' GROUP BY",
    "😀 emoji and naïve café — “quotes” …",
    "{\"name\": \"Ada\", \"age\": 36, \"languages\": [",
    "   leading spaces\tand\ttabs\n\n\nthen",
    LONG,
]

CHATS = [
    [{"role": "user", "content": "What is gravity? Answer in one sentence."}],
    [{"role": "user", "content": "Write a haiku about the sea."}],
    [
        {"role": "system", "content": "You are a pirate. Answer like one."},
        {"role": "user", "content": "Where is the treasure?"},
    ],
    [
        {"role": "user", "content": "My name is Zoë."},
        {"role": "assistant", "content": "Nice to meet you, Zoë!"},
        {"role": "user", "content": "What is my name?"},
    ],
    [{"role": "user", "content": "Write a Python function that reverses a string."}],
    [{"role": "user", "content": "List three prime numbers greater than 100."}],
    [{"role": "user", "content": "Translate to French: The cat sleeps."}],
    [{"role": "user", "content": "Is water wet? Explain in two sentences, please."}],
]


def main():
    path = pathlib.Path(sys.argv[1])
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()

    prompts = [{"prompt": text} for text in RAW]
    for messages in CHATS:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        prompts.append({"prompt": text, "messages": messages})

    cases = []
    for case in prompts:
        ids = tokenizer(case["prompt"], add_special_tokens=False)["input_ids"]
        case |= {"prompt_ids": ids, "generated": [], "margins": []}
        state = None
        step = torch.tensor([ids])
        for _ in range(NEW_TOKENS):
            with torch.no_grad():
                out = model(step, past_key_values=state, use_cache=True)
            state = out.past_key_values
            logits = out.logits[0, -1]
            if "first_logits" not in case:
                case["first_logits"] = [round(value, 5) for value in logits[:LOGITS].tolist()]
            top = torch.topk(logits, 2)
            case["generated"].append(int(top.indices[0]))
            case["margins"].append(round(float(top.values[0] - top.values[1]), 5))
            step = top.indices[None, :1]
        cases.append(case)

    out = pathlib.Path(__file__).with_name("smollm2.json")
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    out.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(len(cases), "cases; smallest margins:", sorted(margin for case in cases for margin in case["margins"])[:10])


main()
