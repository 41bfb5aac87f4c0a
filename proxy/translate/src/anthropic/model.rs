//! What a model can be asked, by its name.
//!
//! Source: Anthropic's pages "Models overview", "Extended thinking", "Adaptive thinking", "Structured outputs".

/// How a model is told to think before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Not at all.
    Never,
    /// By a number of tokens (3.7 to 4.5).
    Budget,
    /// By itself, as hard as `output_config.effort` says (from 4.6 on; from 4.7 on budgets are refused).
    Adaptive,
}

/// A model, as far as its name tells; one that tells nothing is taken for a present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    version: (u32, u32),
    opus: bool,
}

impl Model {
    /// Reads names such as `claude-3-5-sonnet-20241022`, `claude-opus-4-6`, `anthropic.claude-v2:1` and
    /// `eu.anthropic.claude-sonnet-4-5-20250929-v1:0`.
    pub fn named(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let after = name.rfind("claude").and_then(|at| name.get(at..)).unwrap_or_default();
        let words = after.split(|c: char| !c.is_ascii_alphanumeric());
        // Longer numbers are dates, and what follows those is no version of the model.
        let is_date = |word: &&str| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_digit());
        let mut numbers = words
            .take_while(|word| !is_date(word))
            .filter_map(|word| word.strip_prefix('v').unwrap_or(word).parse::<u32>().ok());
        let version = match (numbers.next(), numbers.next()) {
            (Some(major), minor) => (major, minor.unwrap_or_default()),
            (None, _) => (u32::MAX, 0),
        };
        Self { version, opus: after.contains("opus") }
    }

    /// Most tokens of an answer if the client does not say (contract §6.4).
    pub fn default_max_tokens(self) -> u64 {
        if self.version.0 <= 3 { 4096 } else { 8192 }
    }

    /// How it is told to think.
    pub fn thinking(self) -> Thinking {
        match self.version {
            version if version < (3, 7) => Thinking::Never,
            version if version < (4, 6) => Thinking::Budget,
            _ => Thinking::Adaptive,
        }
    }

    /// Whether an adaptive model leaves its thinking out of the answer unless asked for it, and knows effort `xhigh`.
    pub fn hides_thinking(self) -> bool {
        self.version >= (4, 7)
    }

    /// Whether it takes a JSON schema for its answer, and for a tool's arguments strictly.
    pub fn has_schemas(self) -> bool {
        self.version >= (4, 5) || self.opus && self.version == (4, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_version() {
        for (name, version) in [
            ("claude-2.1", (2, 1)),
            ("claude-instant-1.2", (1, 2)),
            ("claude-3-opus-20240229", (3, 0)),
            ("claude-3-5-sonnet-latest", (3, 5)),
            ("claude-3-7-sonnet@20250219", (3, 7)),
            ("claude-sonnet-4-20250514", (4, 0)),
            ("claude-opus-4-1-20250805", (4, 1)),
            ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", (4, 5)),
            ("us.anthropic.claude-opus-4-6-v1", (4, 6)),
            ("claude-sonnet-5", (5, 0)),
            ("anthropic.claude-v2:1", (2, 1)),
            ("anthropic.claude-sonnet-4-20250514-v1:0", (4, 0)),
            ("my-model", (u32::MAX, 0)),
        ] {
            assert_eq!(Model::named(name).version, version, "{name}");
        }
    }

    #[test]
    fn abilities_follow_the_version() {
        let of = |name| {
            let model = Model::named(name);
            (model.default_max_tokens(), model.thinking(), model.has_schemas())
        };
        assert_eq!(of("claude-2.1"), (4096, Thinking::Never, false));
        assert_eq!(of("claude-3-haiku-20240307"), (4096, Thinking::Never, false));
        assert_eq!(of("claude-3-7-sonnet-latest"), (4096, Thinking::Budget, false));
        assert_eq!(of("claude-sonnet-4-0"), (8192, Thinking::Budget, false));
        assert_eq!(of("claude-opus-4-1"), (8192, Thinking::Budget, true));
        assert_eq!(of("claude-haiku-4-5"), (8192, Thinking::Budget, true));
        assert_eq!(of("claude-opus-4-6"), (8192, Thinking::Adaptive, true));
        assert_eq!(of("my-model"), (8192, Thinking::Adaptive, true));
    }
}
