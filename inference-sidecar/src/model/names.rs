//! What the files of each family call their tensors.

/// The tensors of a decoder; `{}` is the layer.
pub struct DecoderNames {
    pub embedding: &'static str,
    pub output_norm: &'static str,
    pub output: &'static str,
    pub attention_norm: &'static str,
    pub qkv: [&'static str; 3],
    pub attention_out: &'static str,
    pub inner_norm: &'static str,
    pub gate_up: [&'static str; 2],
    pub down: &'static str,
}

/// GGUF (llama.cpp's `gguf-py/gguf/constants.py`).
pub const GGUF: DecoderNames = DecoderNames {
    embedding: "token_embd.weight",
    output_norm: "output_norm.weight",
    output: "output.weight",
    attention_norm: "blk.{}.attn_norm.weight",
    qkv: ["blk.{}.attn_q.weight", "blk.{}.attn_k.weight", "blk.{}.attn_v.weight"],
    attention_out: "blk.{}.attn_output.weight",
    inner_norm: "blk.{}.ffn_norm.weight",
    gate_up: ["blk.{}.ffn_gate.weight", "blk.{}.ffn_up.weight"],
    down: "blk.{}.ffn_down.weight",
};

/// Hugging Face's Llama.
pub const HUGGING_FACE: DecoderNames = DecoderNames {
    embedding: "model.embed_tokens.weight",
    output_norm: "model.norm.weight",
    output: "lm_head.weight",
    attention_norm: "model.layers.{}.input_layernorm.weight",
    qkv: [
        "model.layers.{}.self_attn.q_proj.weight",
        "model.layers.{}.self_attn.k_proj.weight",
        "model.layers.{}.self_attn.v_proj.weight",
    ],
    attention_out: "model.layers.{}.self_attn.o_proj.weight",
    inner_norm: "model.layers.{}.post_attention_layernorm.weight",
    gate_up: ["model.layers.{}.mlp.gate_proj.weight", "model.layers.{}.mlp.up_proj.weight"],
    down: "model.layers.{}.mlp.down_proj.weight",
};

/// The name in this layer.
pub fn of_layer(name: &str, layer: usize) -> String {
    name.replace("{}", &layer.to_string())
}
