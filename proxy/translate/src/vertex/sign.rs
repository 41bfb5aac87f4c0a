//! Thought signatures: the provider's proof of what it thought, bound to one part of an answer and wanted back on that
//! same part. OpenAI has parts only in part, so the place is kept with the signature, in what clients pass on unread.

use crate::chat::Message;
use crate::write::Reasoning;

/// `format` of signatures that came from this API, and may go back to it.
const FORMAT: &str = "google-gemini-v1";

/// What the API takes in place of a signature, for calls that another model made ("Thought signatures", FAQ).
pub(super) const NONE: &str = "skip_thought_signature_validator";

/// The part that bore a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The reasoning.
    Thought,
    /// The text.
    Text,
    /// An empty text after it.
    End,
    /// A tool call, by its number.
    Call(usize),
}

/// A signature as the client gets it.
pub(super) fn detail(index: usize, place: Place, signature: &str) -> Reasoning<'static> {
    let data = match place {
        Place::Thought => format!("thought:{signature}"),
        Place::Text => format!("text:{signature}"),
        Place::End => format!("end:{signature}"),
        Place::Call(at) => format!("call/{at}:{signature}"),
    };
    Reasoning {
        index,
        kind: Some(Reasoning::ENCRYPTED),
        format: Some(FORMAT),
        data: Some(crate::wire::Text(data.into())),
        ..Reasoning::default()
    }
}

/// The signatures that a client gave back with a message.
pub(super) struct Signatures<'r>(Vec<(Place, &'r str)>);

impl<'r> Signatures<'r> {
    /// Reads them.
    pub fn of(message: &'r Message<'_>) -> Self {
        let read = |data: &'r str| {
            let (place, signature) = data.split_once(':')?;
            let place = match place {
                "thought" => Place::Thought,
                "text" => Place::Text,
                "end" => Place::End,
                call => Place::Call(call.strip_prefix("call/")?.parse().ok()?),
            };
            Some((place, signature))
        };
        Self(message.details(FORMAT).filter_map(|detail| read(detail.data.as_deref()?)).collect())
    }

    /// The one of a part.
    pub fn at(&self, place: Place) -> Option<&'r str> {
        self.0.iter().find(|(known, _)| *known == place).map(|(_, signature)| *signature)
    }
}
