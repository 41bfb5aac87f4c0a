//! Images, documents, video and sound, of which the API takes the bytes.

use serde::Serialize;

use crate::chat::{DataUrl, File, ImageUrl, InputAudio};

/// A block that is no text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Media<'r> {
    Image { format: &'static str, source: Source<'r> },
    Video { format: &'static str, source: Source<'r> },
    Audio { format: &'r str, source: Source<'r> },
    Document { format: &'static str, name: String, source: Source<'r> },
}

/// Where the data is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Source<'r> {
    /// Here, in base64.
    Bytes(&'r str),
    /// In Amazon's storage.
    S3Location { uri: &'r str },
}

/// Kinds of images by media type or ending.
const IMAGES: [(&str, &str, &str); 5] = [
    ("image/png", "png", "png"),
    ("image/jpeg", "jpg", "jpeg"),
    ("image/jpg", "jpeg", "jpeg"),
    ("image/gif", "gif", "gif"),
    ("image/webp", "webp", "webp"),
];

const VIDEOS: [(&str, &str, &str); 8] = [
    ("video/mp4", "mp4", "mp4"),
    ("video/webm", "webm", "webm"),
    ("video/quicktime", "mov", "mov"),
    ("video/x-matroska", "mkv", "mkv"),
    ("video/x-flv", "flv", "flv"),
    ("video/mpeg", "mpeg", "mpeg"),
    ("video/x-ms-wmv", "wmv", "wmv"),
    ("video/3gpp", "3gp", "three_gp"),
];

const DOCUMENTS: [(&str, &str, &str); 9] = [
    ("application/pdf", "pdf", "pdf"),
    ("text/csv", "csv", "csv"),
    ("application/msword", "doc", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx", "docx"),
    ("application/vnd.ms-excel", "xls", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", "xlsx"),
    ("text/html", "html", "html"),
    ("text/markdown", "md", "md"),
    ("text/plain", "txt", "txt"),
];

/// Data and what says its kind: a media type, or a name with an ending.
struct Data<'r> {
    kind: &'r str,
    source: Source<'r>,
}

impl<'r> Data<'r> {
    fn read(url: &'r str) -> Result<Self, &'static str> {
        match DataUrl::read(url) {
            Some(DataUrl { media_type, base64 }) => Ok(Self { kind: media_type, source: Source::Bytes(base64) }),
            None if url.starts_with("s3://") => Ok(Self { kind: url, source: Source::S3Location { uri: url } }),
            None => Err("must be a data URL in base64 (or an s3:// URI); amazon-bedrock fetches no other address"),
        }
    }

    fn format(&self, kinds: &[(&str, &str, &'static str)]) -> Option<&'static str> {
        let ending = self.kind.rsplit('.').next().unwrap_or_default();
        let fits = |(media_type, file, _): &&(&str, &str, &str)| match self.source {
            Source::Bytes(_) => self.kind.eq_ignore_ascii_case(media_type),
            Source::S3Location { .. } => ending.eq_ignore_ascii_case(file),
        };
        kinds.iter().find(fits).map(|(_, _, format)| *format)
    }
}

/// An image.
pub(super) fn image<'r>(image: &'r ImageUrl<'_>) -> Result<Media<'r>, &'static str> {
    let data = Data::read(&image.url)?;
    let format = data.format(&IMAGES).ok_or("must be an image in PNG, JPEG, GIF or WebP")?;
    Ok(Media::Image { format, source: data.source })
}

/// Sound; which formats a model takes is for the provider to say.
pub(super) fn audio<'r>(audio: &'r InputAudio<'_>) -> Media<'r> {
    Media::Audio { format: &audio.format, source: Source::Bytes(&audio.data) }
}

/// A file. `names` are those of the documents so far.
pub(super) fn file<'r>(file: &'r File<'_>, names: &mut Vec<String>) -> Result<Media<'r>, &'static str> {
    let data = match (file.file_data.as_deref(), file.file_id.as_deref()) {
        (Some(data), _) => data,
        (None, Some(id)) if id.starts_with("s3://") => id,
        _ => return Err("must have file_data; amazon-bedrock keeps no files to be named by file_id"),
    };
    let data = Data::read(data)?;
    if let Some(format) = data.format(&IMAGES) {
        return Ok(Media::Image { format, source: data.source });
    }
    if let Some(format) = data.format(&VIDEOS) {
        return Ok(Media::Video { format, source: data.source });
    }
    let text = data.kind.starts_with("text/").then_some("txt");
    let format = data.format(&DOCUMENTS).or(text);
    let format = format.ok_or("must be a PDF, a text, an Office document, an image or a video")?;
    let name = document_name(file.filename.as_deref().unwrap_or_default(), names);
    names.push(name.clone());
    Ok(Media::Document { format, name, source: data.source })
}

/// A name as the API takes it: letters, digits, single spaces, hyphens and brackets, and no other document's.
fn document_name(name: &str, others: &[String]) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '(' | ')' | '[' | ']');
    let words = stem.split(|c| !fits(c)).filter(|word| !word.is_empty());
    let mut name: String = words.collect::<Vec<_>>().join(" ").chars().take(180).collect();
    if name.is_empty() {
        name = format!("Document {}", others.len() + 1);
    }
    if others.contains(&name) {
        name = format!("{name} ({})", others.len() + 1);
    }
    name
}
