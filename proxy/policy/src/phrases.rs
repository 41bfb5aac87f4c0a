//! Phrases that send a client into a retry loop, wherever a text of ours or a provider's may hold them.

use std::borrow::Cow;

/// The Databricks SDK retries an error whose text holds one of these for up to five minutes (contract §1.2). With what stands for it.
const RETRIED: [(&str, &str); 7] = [
    ("Unexpected error", "Unexpected  error"),
    ("Please try again later or try a faster operation.", "Please try again later, or try a faster operation."),
    ("RPC token bucket limit has been exceeded", "RPC token bucket limit exceeded"),
    ("Unknown worker environment", "Unknown  worker environment"),
    ("There is no worker environment with id", "There is no worker environment  with id"),
    ("does not have any associated worker environments", "does not have any worker environments associated"),
    ("ClusterNotReadyException", "ClusterNotReady Exception"),
];

/// The text without any of the phrases.
pub fn broken_up(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for (phrase, instead) in RETRIED {
        if text.contains(phrase) {
            text = Cow::Owned(text.replace(phrase, instead));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_phrase_is_left() {
        for (phrase, _) in RETRIED {
            let text = format!("x {phrase} y {phrase}");
            let text = broken_up(&text);
            assert!(RETRIED.iter().all(|(phrase, _)| !text.contains(phrase)), "{text}");
        }
        assert!(matches!(broken_up("an error"), Cow::Borrowed("an error")));
    }
}
