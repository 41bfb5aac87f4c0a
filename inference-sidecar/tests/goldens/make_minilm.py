"""Makes minilm.json: what sentence-transformers (CPU PyTorch, f32) makes of some texts with all-MiniLM-L6-v2.

Usage: python make_minilm.py PATH/all-MiniLM-L6-v2
"""

import json
import pathlib
import sys

from sentence_transformers import SentenceTransformer

TEXTS = [
    "The cat sits on the mat.",
    "A feline rests on a rug.",
    "Quarterly revenue rose by 12 percent.",
    "How do I reset my password?",
    "I forgot my login credentials.",
    "x",
    "",
    "The",
    "Paris is the capital of France.",
    "Berlin ist die Hauptstadt von Deutschland.",
    "東京は日本の首都です。",
    "Москва — столица России.",
    "def add(a, b):\n    return a + b",
    "SELECT id FROM users WHERE email LIKE '%@example.com'",
    "😀 😃 😄",
    "ALL CAPS AND Accents: ÀÉÎÕÜ",
    "1234567890 3.14159 1e-9",
    "a " * 120,
    "The quick brown fox jumps over the lazy dog. " * 20,
    "Rate limiting protects a service from being overwhelmed; a token bucket allows bursts but bounds the mean rate.",
]


def main():
    model = SentenceTransformer(sys.argv[1], device="cpu")
    lines = []
    for text in TEXTS:
        ids = model.tokenizer(text, truncation=False, padding=False)["input_ids"]
        assert len(ids) <= model.max_seq_length, text
        embedding = [round(float(value), 6) for value in model.encode(text)]
        lines.append(json.dumps({"text": text, "ids": ids, "embedding": embedding}, ensure_ascii=False))
    pathlib.Path(__file__).with_name("minilm.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(len(lines), "texts")


main()
