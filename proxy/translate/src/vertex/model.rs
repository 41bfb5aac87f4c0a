//! What differs between the generations of Gemini.

use crate::params::wrong;
use crate::peek::PeekError;

/// A Gemini model, by its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model<'m> {
    name: &'m str,
    /// Generation, as 25 for 2.5.
    generation: u32,
}

impl<'m> Model<'m> {
    /// Names without a number stand for the newest model, apart from the first ones.
    pub fn named(name: &'m str) -> Self {
        let version = name.split_once("gemini-").map_or("", |(_, rest)| rest);
        let mut digits = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().ok());
        let generation = match (digits.next().flatten(), version.as_bytes().get(1)) {
            (Some(major), Some(b'.')) => major.saturating_mul(10) + digits.next().flatten().unwrap_or_default().min(9),
            (Some(major), _) => major.saturating_mul(10),
            (None, _) if matches!(version, "pro" | "pro-vision") || version.starts_with("ultra") => 10,
            (None, _) => 25,
        };
        Self { name, generation }
    }

    /// Whether schemas are taken as JSON schemas (`parametersJsonSchema`, `responseJsonSchema`) and not only in the
    /// API's own words for them.
    pub fn takes_json_schemas(self) -> bool {
        self.generation >= 25
    }

    /// Whether tools and a form for the answer may be asked for together.
    pub fn takes_tools_with_format(self) -> bool {
        self.generation >= 30
    }

    /// Whether a function call in the history must bear a signature.
    pub fn wants_signatures(self) -> bool {
        self.generation >= 30
    }

    /// How much it is to think; `None` if it does not, or cannot be told.
    pub fn thinking(self, effort: Effort) -> Option<Amount> {
        let pro = self.name.contains("pro");
        if self.generation >= 30 {
            return Some(Amount::Level(match effort {
                Effort::None | Effort::Minimal if !pro => "MINIMAL",
                Effort::None | Effort::Minimal | Effort::Low => "LOW",
                Effort::Medium if !pro || self.generation > 30 => "MEDIUM",
                Effort::Medium | Effort::High | Effort::Most => "HIGH",
            }));
        }
        let budget = match effort {
            Effort::None if pro => 128,
            Effort::None => 0,
            Effort::Minimal | Effort::Low => 1024,
            Effort::Medium => 8192,
            Effort::Most if pro => 32768,
            Effort::High | Effort::Most => 24576,
        };
        (self.generation >= 25).then_some(Amount::Budget(budget))
    }
}

/// How much thinking is asked for, in the words of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// `thinkingLevel`
    Level(&'static str),
    /// `thinkingBudget`, in tokens.
    Budget(u64),
}

/// OpenAI's `reasoning_effort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Most,
}

impl Effort {
    /// By its name.
    pub fn named(name: &str) -> Result<Self, PeekError> {
        Ok(match name {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" | "max" => Self::Most,
            _ => {
                let rule = "must be none, minimal, low, medium, high, xhigh or max";
                return Err(wrong("reasoning_effort", rule));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_by_name() {
        for (name, generation) in [
            ("gemini-pro", 10),
            ("gemini-pro-vision", 10),
            ("gemini-1.5-flash-002", 15),
            ("gemini-2.0-flash", 20),
            ("gemini-2.5-pro-preview-03-25", 25),
            ("gemini-3-pro-preview", 30),
            ("gemini-3.5-flash", 35),
            ("gemini-flash-latest", 25),
            ("my-tuned-model", 25),
            ("gemini-99999999999", 25),
            ("gemini-4294967295.99999", u32::MAX),
        ] {
            assert_eq!(Model::named(name).generation, generation, "{name}");
        }
    }

    #[test]
    fn effort_in_the_words_of_each_generation() {
        let amount = |name, effort| Model::named(name).thinking(Effort::named(effort).unwrap());
        assert_eq!(amount("gemini-2.0-flash", "high"), None);
        assert_eq!(amount("gemini-2.5-flash", "none"), Some(Amount::Budget(0)));
        assert_eq!(amount("gemini-2.5-pro", "none"), Some(Amount::Budget(128)));
        assert_eq!(amount("gemini-2.5-flash", "xhigh"), Some(Amount::Budget(24576)));
        assert_eq!(amount("gemini-3-pro-preview", "medium"), Some(Amount::Level("HIGH")));
        assert_eq!(amount("gemini-3.1-pro", "medium"), Some(Amount::Level("MEDIUM")));
        assert_eq!(amount("gemini-3-flash", "none"), Some(Amount::Level("MINIMAL")));
    }
}
