//! Read-only maps of weight files.
#![allow(unsafe_code, reason = "a map is unsafe because another process may change the file; see `Map::open`")]

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use crate::error::EngineError;

/// A file as bytes, paged in when they are read.
pub struct Map(memmap2::Mmap);

impl Map {
    /// Maps a file.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let read = |source| EngineError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read)?;
        // SAFETY: the map is private and read-only. Whoever writes to a model's file while it is served gets wrong
        // numbers out of it (or SIGBUS when it is cut short): offsets are checked once, bytes are never trusted as types.
        unsafe { memmap2::Mmap::map(&file) }.map(Self).map_err(read)
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
