//! How byte-level BPE vocabularies cut text into words before merging, by the name that a GGUF file gives
//! (`tokenizer.ggml.pre`; the patterns are those of llama.cpp's `llama-vocab.cpp`, written as tokenizer.json does).

/// One way of cutting.
pub struct Pre {
    names: &'static [&'static str],
    /// Applied one after the other, each to the pieces that the one before left.
    pub patterns: &'static [&'static str],
    /// A word that is in the vocabulary is taken whole.
    pub ignore_merges: bool,
    /// Whether text begins with BOS when the file does not say.
    pub add_bos: bool,
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

const TABLE: &[Pre] = &[
    Pre { names: &["gpt-2"], patterns: &[GPT2], ignore_merges: false, add_bos: false },
    Pre { names: &["smollm", "starcoder"], patterns: &[r"\p{N}", GPT2], ignore_merges: false, add_bos: false },
    Pre {
        names: &["llama-bpe", "llama3", "llama-v3"],
        patterns: &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
        ignore_merges: true,
        add_bos: true,
    },
    Pre {
        names: &["qwen2", "deepseek-r1-qwen"],
        patterns: &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
        ignore_merges: false,
        add_bos: false,
    },
];

/// The way of this name, or a text with the names that are known.
pub fn find(name: &str) -> Result<&'static Pre, String> {
    TABLE.iter().find(|pre| pre.names.contains(&name)).ok_or_else(|| {
        let known: Vec<_> = TABLE.iter().flat_map(|pre| pre.names).copied().collect();
        format!("pre-tokenizer {name:?} is not supported; {} are", known.join(", "))
    })
}
