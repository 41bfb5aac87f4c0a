//! The files that make up a state, read once, and the digest over everything that a state depends on.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use crate::dependencies::Dependencies;

/// A larger document is refused.
pub(crate) const FILE_LIMIT: u64 = 1 << 20;
/// More endpoint files are refused.
pub(crate) const FILE_COUNT_LIMIT: usize = 10_000;

pub(crate) const GATEWAY_FILE: &str = "weirgate.yaml";
pub(crate) const CATALOG_FILE: &str = "catalog.yaml";
pub(crate) const ENDPOINTS_FOLDER: &str = "endpoints";

/// The documents of a config folder by their path in it; the empty path is the folder itself.
pub(crate) struct Inputs {
    /// Content, or why there is none.
    pub documents: BTreeMap<PathBuf, Result<Arc<str>, String>>,
}

/// SHA-256 of each document, by its path.
pub(crate) type Contents = BTreeMap<PathBuf, [u8; 32]>;

impl Inputs {
    /// Reads `weirgate.yaml`, `catalog.yaml` and `endpoints/*.yaml|yml`; nothing else.
    pub fn read(folder: &Path) -> Self {
        let mut documents = BTreeMap::new();
        if !folder.is_dir() {
            documents.insert(PathBuf::new(), Err("the config folder does not exist or is no folder".to_owned()));
            return Self { documents };
        }
        for name in [GATEWAY_FILE, CATALOG_FILE] {
            if let Some(content) = read_document(&folder.join(name)) {
                documents.insert(PathBuf::from(name), content);
            }
        }
        match endpoint_files(&folder.join(ENDPOINTS_FOLDER)) {
            Ok(names) => {
                for name in names {
                    let path = Path::new(ENDPOINTS_FOLDER).join(name);
                    if let Some(content) = read_document(&folder.join(&path)) {
                        documents.insert(path, content);
                    }
                }
            }
            Err(error) => {
                documents.insert(PathBuf::from(ENDPOINTS_FOLDER), Err(format!("the folder cannot be read: {error}")));
            }
        }
        Self { documents }
    }

    /// Documents that were kept elsewhere.
    pub fn from_texts(texts: BTreeMap<PathBuf, Arc<str>>) -> Self {
        Self { documents: texts.into_iter().map(|(path, text)| (path, Ok(text))).collect() }
    }

    /// The documents that could be read.
    pub fn texts(&self) -> BTreeMap<PathBuf, Arc<str>> {
        let readable =
            self.documents.iter().filter_map(|(path, content)| Some((path.clone(), content.as_ref().ok()?.clone())));
        readable.collect()
    }

    /// What each document says, or why it cannot be read.
    pub fn contents(&self) -> Contents {
        let one = |content: &Result<Arc<str>, String>| match content {
            Ok(text) => content_of(text),
            Err(error) => content_of(error),
        };
        self.documents.iter().map(|(path, content)| (path.clone(), one(content))).collect()
    }
}

/// One document's.
pub(crate) fn content_of(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// SHA-256 over documents and what was seen of their dependencies.
pub(crate) fn digest(contents: &Contents, dependencies: &Dependencies) -> [u8; 32] {
    let mut hash = Hash(Sha256::new());
    for (path, content) in contents {
        hash.field(path.as_os_str().as_encoded_bytes());
        hash.field(content);
    }
    dependencies.feed(|bytes| hash.field(bytes));
    hash.0.finalize().into()
}

/// Length before content, so that no two lists of fields look alike.
struct Hash(Sha256);

impl Hash {
    fn field(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

/// Names that end in `.yaml` or `.yml`, without hidden ones (editors' lock files, Kubernetes' `..data`), sorted.
fn endpoint_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = PathBuf::from(entry?.file_name());
        let is_yaml = name.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_yaml && !name.as_os_str().as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
        if names.len() > FILE_COUNT_LIMIT {
            return Err(io::Error::other(format!("it holds more than {FILE_COUNT_LIMIT} endpoint files")));
        }
    }
    names.sort();
    Ok(names)
}

/// Where the document of an endpoint may be.
pub(crate) fn endpoint_paths(name: &str) -> [PathBuf; 2] {
    ["yaml", "yml"].map(|ending| Path::new(ENDPOINTS_FOLDER).join(format!("{name}.{ending}")))
}

/// `None` when there is no such file.
pub(crate) fn read_document(path: &Path) -> Option<Result<Arc<str>, String>> {
    match read_limited(path) {
        Ok(bytes) => Some(String::from_utf8(bytes).map(Arc::from).map_err(|_| "the file is not UTF-8 text".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => None,
        Err(error) => Some(Err(format!("the file cannot be read: {error}"))),
    }
}

/// Reads a regular file of bounded size; a pipe or device would block or never end.
pub(crate) fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    if metadata.len() > FILE_LIMIT {
        return Err(io::Error::other(format!("it has {} bytes; at most {FILE_LIMIT} are allowed", metadata.len())));
    }
    fs::read(path)
}
