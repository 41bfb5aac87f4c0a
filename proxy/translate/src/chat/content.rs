//! What is said in a turn: text, or parts of several kinds.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

use crate::wire::{Raw, Rest, Text, record};

/// The content of a turn.
#[derive(Clone)]
pub enum Content<'a> {
    /// Plain text.
    Text(Text<'a>),
    /// Several parts.
    Parts(Vec<Part<'a>>),
}

impl<'a> Content<'a> {
    /// All text in it, joined with nothing between; of parts that are no text nothing.
    pub fn text(&self) -> Text<'a> {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => {
                let texts = parts.iter().filter_map(|part| match &part.body {
                    PartBody::Text(text) | PartBody::Refusal(text) => Some(&**text),
                    _ => None,
                });
                Text(texts.collect::<String>().into())
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of content parts")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Content<'de>, E> {
                Ok(Content::Text(text.into()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Content<'de>, E> {
                Ok(Content::Text(Text(text.to_owned().into())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content<'de>, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }
        json.deserialize_any(Any)
    }
}

/// One part of a turn.
#[derive(Clone)]
pub struct Part<'a> {
    /// What it holds.
    pub body: PartBody<'a>,
    /// That the prompt up to here is to be cached; the value is the provider's.
    pub cache_control: Option<Raw<'a>>,
}

/// What a part holds, by its `type`.
#[derive(Clone)]
pub enum PartBody<'a> {
    /// `text`
    Text(Text<'a>),
    /// `refusal`, in an assistant's turn.
    Refusal(Text<'a>),
    /// `image_url`
    Image(ImageUrl<'a>),
    /// `input_audio`
    Audio(InputAudio<'a>),
    /// `file`
    File(File<'a>),
    /// A type that OpenAI does not have, with all its other members: perhaps the provider does.
    Other(Text<'a>, Rest<'a>),
}

record! {
    /// A part as it is written.
    WrittenPart {
        "type" => kind: Option<Text<'a>>,
        "text" => text: Option<Text<'a>>,
        "refusal" => refusal: Option<Text<'a>>,
        "image_url" => image_url: Option<ImageUrl<'a>>,
        "input_audio" => input_audio: Option<InputAudio<'a>>,
        "file" => file: Option<File<'a>>,
        "cache_control" => cache_control: Option<Raw<'a>>,
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let part = WrittenPart::deserialize(json)?;
        let kind = part.kind.unwrap_or_else(|| "text".into());
        let lacks = || D::Error::custom(format!("a part of type {} has no member {}", &*kind, &*kind));
        let body = match &*kind {
            "text" => PartBody::Text(part.text.ok_or_else(lacks)?),
            "refusal" => PartBody::Refusal(part.refusal.ok_or_else(lacks)?),
            "image_url" => PartBody::Image(part.image_url.ok_or_else(lacks)?),
            "input_audio" => PartBody::Audio(part.input_audio.ok_or_else(lacks)?),
            "file" => PartBody::File(part.file.ok_or_else(lacks)?),
            _ => PartBody::Other(kind, part.rest),
        };
        Ok(Self { body, cache_control: part.cache_control })
    }
}

record! {
    /// An image.
    ImageUrl {
        /// An `https:` address, or a `data:` URL.
        "url" => url: Text<'a>,
        /// `auto`, `low`, `high`.
        "detail" => detail: Option<Text<'a>>,
    }
}

record! {
    /// Spoken input.
    InputAudio {
        /// Base64.
        "data" => data: Text<'a>,
        /// `wav` or `mp3`.
        "format" => format: Text<'a>,
    }
}

record! {
    /// A file, such as a PDF.
    File {
        /// A `data:` URL.
        "file_data" => file_data: Option<Text<'a>>,
        /// The provider's id of a file that it already has.
        "file_id" => file_id: Option<Text<'a>>,
        /// Its name.
        "filename" => filename: Option<Text<'a>>,
    }
}

/// A `data:` URL (RFC 2397) whose data is base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataUrl<'u> {
    /// Such as `image/png`; `text/plain` if it was left out.
    pub media_type: &'u str,
    /// The data, still base64.
    pub base64: &'u str,
}

impl<'u> DataUrl<'u> {
    /// Takes a URL apart; `None` if it is another kind of URL, or its data is not base64.
    pub fn read(url: &'u str) -> Option<Self> {
        let (scheme, rest) = url.split_once(':')?;
        let (head, base64) = rest.split_once(',')?;
        let head = head.strip_suffix(";base64")?;
        let media_type = head.split(';').next().filter(|kind| !kind.is_empty()).unwrap_or("text/plain");
        scheme.eq_ignore_ascii_case("data").then_some(Self { media_type, base64 })
    }
}
