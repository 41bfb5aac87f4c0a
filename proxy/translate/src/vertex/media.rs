//! Images, sound and files, given or to be fetched by the provider.

use std::borrow::Cow;

use serde::Serialize;

use crate::chat::{DataUrl, File, ImageUrl, InputAudio};

/// A part that is no text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Media<'r> {
    #[serde(rename_all = "camelCase")]
    InlineData { mime_type: Cow<'r, str>, data: &'r str },
    #[serde(rename_all = "camelCase")]
    FileData { mime_type: &'static str, file_uri: &'r str },
}

impl<'r> Media<'r> {
    /// An image.
    pub fn image(image: &'r ImageUrl<'_>) -> Result<Self, &'static str> {
        Self::at(&image.url, None, "image/jpeg")
    }

    /// Sound.
    pub fn audio(audio: &'r InputAudio<'_>) -> Self {
        Self::InlineData { mime_type: format!("audio/{}", &*audio.format).into(), data: &audio.data }
    }

    /// A file; its id is a URL, as the provider has no ids of its own.
    pub fn file(file: &'r File<'_>) -> Result<Self, &'static str> {
        let url = file.file_data.as_deref().or(file.file_id.as_deref()).ok_or("must have file_data or file_id")?;
        Self::at(url, file.filename.as_deref(), "application/pdf")
    }

    /// What is at a URL, of a type that its name or else the URL says.
    fn at(url: &'r str, name: Option<&str>, otherwise: &'static str) -> Result<Self, &'static str> {
        if let Some(DataUrl { media_type, base64 }) = DataUrl::read(url) {
            return Ok(Self::InlineData { mime_type: media_type.into(), data: base64 });
        }
        if !["https://", "http://", "gs://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err("must have an https or gs URL, or a data URL in base64");
        }
        let mime_type = name.and_then(media_type).or_else(|| media_type(url)).unwrap_or(otherwise);
        Ok(Self::FileData { mime_type, file_uri: url })
    }
}

/// The media type that the end of a name or of a URL's path says: the API must be told.
fn media_type(name: &str) -> Option<&'static str> {
    if name.contains("youtube.com/watch") || name.contains("youtu.be/") {
        return Some("video/mp4");
    }
    let path = name.split(['?', '#']).next().unwrap_or_default();
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" | "md" | "csv" => "text/plain",
        "html" | "htm" => "text/html",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "m4a" => "audio/m4a",
        "mp4" => "video/mp4",
        "mpeg" | "mpg" => "video/mpeg",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        _ => return None,
    })
}
