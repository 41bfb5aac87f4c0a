"""Makes tiny-llama/: a random Llama of two layers in a Hugging Face folder (grouped heads, untied output, Llama 3's rope
scaling, bf16 weights), and in logits.json what transformers in f32 makes of one input.

Usage: python make_tiny_llama.py
"""

import json
import pathlib

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM

VOCAB = 96


def main():
    folder = pathlib.Path(__file__).with_name("tiny-llama")
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=256, rms_norm_eps=1e-5, tie_word_embeddings=False,
        initializer_range=0.3, bos_token_id=1, eos_token_id=[2, 3],
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        },
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    # Read anew: `to` rounded the rope's frequencies too.
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    (folder / "generation_config.json").unlink(missing_ok=True)

    words = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"w{i}": i for i in range(3, VOCAB)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.enable_truncation(4)
    tokenizer.save(str(folder / "tokenizer.json"))
    side = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": [{"name": "default", "template": "T"}]}
    (folder / "tokenizer_config.json").write_text(json.dumps(side) + "\n")

    ids = [1] + [(7 * i) % (VOCAB - 3) + 3 for i in range(120)]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    rows = {"ids": ids, "logits": {str(row): [round(v, 5) for v in logits[row].tolist()] for row in (0, 1, 40, 120)}}
    (folder / "logits.json").write_text(json.dumps(rows) + "\n")


main()
