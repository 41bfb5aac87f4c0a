/// What an endpoint does, contract §6.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// `llm/v1/chat`
    Chat,
    /// `llm/v1/completions`
    Completions,
    /// `llm/v1/embeddings`
    Embeddings,
}

impl Task {
    /// The task that the config calls `name`, such as `llm/v1/chat`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Chat, Self::Completions, Self::Embeddings].into_iter().find(|task| task.name() == name)
    }

    /// The name in the config, such as `llm/v1/chat`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "llm/v1/chat",
            Self::Completions => "llm/v1/completions",
            Self::Embeddings => "llm/v1/embeddings",
        }
    }

    /// The end of the OpenAI route, which is also what is appended to an OpenAI base URL: `/chat/completions`, …
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
        }
    }

    /// The value of `object` in a whole answer.
    pub fn answer_object(self) -> &'static str {
        match self {
            Self::Chat => "chat.completion",
            Self::Completions => "text_completion",
            Self::Embeddings => "list",
        }
    }

    /// The value of `object` in a chunk of a stream.
    pub fn chunk_object(self) -> &'static str {
        if self == Self::Chat { "chat.completion.chunk" } else { self.answer_object() }
    }
}

/// What is filled in where an upstream's answer leaves it out, contract §8.6.
#[derive(Clone, Debug)]
pub struct Fill {
    /// The answer's `id`; one per stream.
    pub id: String,
    /// The answer's `created`: seconds since 1970.
    pub created: u64,
    /// The answer's `model`: the name that was asked for upstream.
    pub model: String,
}
