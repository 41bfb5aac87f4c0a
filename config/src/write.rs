//! Changing one file so that a crash at any moment leaves the old content or the new, never a part.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// Another gateway holds the lock for one write, which takes milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// A text on its way to its place; of no use after a crash.
const TEMPORARY: &str = ".tmp";
/// A file on its way out of its place.
const REMOVED: &str = ".removed";

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is on disk for good.
    Done,
    /// Somebody else changed the file meanwhile. It is as they left it.
    Overtaken,
}

/// Replaces a file's content, or makes the file, if it still is what it was: `before`, or absent. Temporary file, fsync, then one atomic
/// exchange, whose other half shows what was there at that moment; fsync of the folder. A link stays one; its target is replaced. An
/// existing file's mode is kept, and its owner where the system allows it.
///
/// What another process writes into the old file, having opened it before the exchange, is lost; no editor that replaces files does that.
pub(crate) fn replace(path: &Path, before: Option<&str>, text: &str) -> io::Result<Written> {
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let temporary = beside(&target, TEMPORARY);
    // What a crash left behind must not be written through.
    absent_is_fine(fs::remove_file(&temporary))?;
    let result = write_synced(&temporary, &target, text).and_then(|()| match before {
        Some(before) => exchange(&temporary, &target, before, text),
        None => put_in_place(&temporary, &target),
    });
    // Whatever has happened, it holds nothing that is needed; the first error is the one to tell.
    let _ = fs::remove_file(&temporary);
    let written = result?;
    sync_folder_of(&target)?;
    Ok(written)
}

/// Removes a file for good if it still is what it was.
pub(crate) fn remove(path: &Path, before: &str) -> io::Result<Written> {
    let aside = beside(path, REMOVED);
    match fs::rename(path, &aside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Written::Overtaken),
        Err(error) => return Err(error),
    }
    let is_expected = fs::read(&aside).map(|text| text == before.as_bytes());
    if !matches!(is_expected, Ok(true)) {
        put_back(&aside, path)?;
        return is_expected.map(|_| Written::Overtaken);
    }
    fs::remove_file(&aside)?;
    sync_folder_of(path)?;
    Ok(Written::Done)
}

/// Undoes the removals in a folder that a crash has interrupted; what was removed may have been a newer text. The caller holds the lock.
pub(crate) fn undo_removals(folder: &Path) -> io::Result<()> {
    for (aside, path) in removals(folder)? {
        put_back(&aside, &path)?;
    }
    Ok(())
}

/// What was moved aside, and where it was.
pub(crate) fn removals(folder: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let aside = entry?.path();
        let name = aside.file_name().and_then(|name| name.to_str()?.strip_prefix('.')?.strip_suffix(REMOVED));
        if let Some(path) = name.map(|name| aside.with_file_name(name)) {
            found.push((aside, path));
        }
    }
    Ok(found)
}

/// If there is a newer one already, that one counts.
fn put_back(aside: &Path, path: &Path) -> io::Result<()> {
    put_in_place(aside, path)?;
    absent_is_fine(fs::remove_file(aside))
}

fn write_synced(temporary: &Path, target: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
    if let Ok(before) = fs::metadata(target) {
        // Only root may; for anyone else the file is their own now, as with any editor.
        let _ = fchown(&file, Some(before.uid()), Some(before.gid()));
        file.set_permissions(before.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Exchanges the two files. If what comes out is not `before`, it goes back, and so does what was written over ours meanwhile.
fn exchange(temporary: &Path, target: &Path, before: &str, text: &str) -> io::Result<Written> {
    let (mut expected, mut placed) = (before.as_bytes().to_vec(), text.as_bytes().to_vec());
    let mut outcome = Written::Done;
    loop {
        match rename(temporary, target, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Written::Overtaken),
            Err(error) if unsupported(&error) => {
                if fs::read(target)? != before.as_bytes() {
                    return Ok(Written::Overtaken);
                }
                return fs::rename(temporary, target).map(|()| Written::Done);
            }
            Err(error) => return Err(error),
        }
        let came_out = fs::read(temporary)?;
        if came_out == expected {
            return Ok(outcome);
        }
        outcome = Written::Overtaken;
        (expected, placed) = (placed, came_out);
    }
}

/// Moves a file to a name that must be free.
fn put_in_place(from: &Path, to: &Path) -> io::Result<Written> {
    match rename(from, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(Written::Done),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Written::Overtaken),
        Err(error) if unsupported(&error) => match to.try_exists()? {
            true => Ok(Written::Overtaken),
            false => fs::rename(from, to).map(|()| Written::Done),
        },
        Err(error) => Err(error),
    }
}

fn rename(from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
    Ok(renameat_with(CWD, from, CWD, to, flags)?)
}

/// Some file systems know plain renames only; there a small window stays.
fn unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// Makes a folder if it is absent.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => sync_folder_of(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Locks a file against other processes until the result is dropped; makes the file if it is absent.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if start.elapsed() > LOCK_PATIENCE => {
                let message = format!("another gateway has held the lock for {} seconds", LOCK_PATIENCE.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Hidden, and with an ending that no reader of the folder takes for a document.
fn beside(target: &Path, ending: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}{ending}"))
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_was_expected_is_replaced_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        assert_eq!(replace(&file, Some("gone"), "ours").unwrap(), Written::Overtaken);
        assert_eq!(replace(&file, None, "first").unwrap(), Written::Done);
        assert_eq!(replace(&file, None, "ours").unwrap(), Written::Overtaken);
        assert_eq!(replace(&file, Some("other"), "ours").unwrap(), Written::Overtaken);
        assert_eq!(remove(&file, "other").unwrap(), Written::Overtaken);
        assert_eq!(fs::read_to_string(&file).unwrap(), "first");
        assert_eq!(replace(&file, Some("first"), "second").unwrap(), Written::Done);
        assert_eq!(fs::read_to_string(&file).unwrap(), "second");
        assert_eq!(names(folder.path()), ["a.yaml"]);
        assert_eq!(remove(&file, "second").unwrap(), Written::Done);
        assert_eq!(remove(&file, "second").unwrap(), Written::Overtaken);
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn an_interrupted_removal_is_undone() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [(".a.yaml.removed", "a"), (".b.yaml.removed", "old"), ("b.yaml", "new"), (".c.yaml.tmp", "")]
        {
            fs::write(folder.path().join(name), text).unwrap();
        }
        undo_removals(folder.path()).unwrap();
        assert_eq!(names(folder.path()), [".c.yaml.tmp", "a.yaml", "b.yaml"]);
        assert_eq!(fs::read_to_string(folder.path().join("b.yaml")).unwrap(), "new");
        // What cannot be read goes back too.
        fs::create_dir(folder.path().join("d.yaml")).unwrap();
        assert!(remove(&folder.path().join("d.yaml"), "").is_err());
        assert_eq!(names(folder.path()), [".c.yaml.tmp", "a.yaml", "b.yaml", "d.yaml"]);
    }

    /// The last of an editor's renames is on disk, unless a write that saw it came after it.
    #[test]
    fn an_editor_who_renames_at_any_moment_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (file, draft) = (folder.path().join("a.yaml"), folder.path().join("draft"));
        fs::write(&file, "0").unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut written = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let before = fs::read_to_string(&file).unwrap();
                    if replace(&file, Some(&before), &format!("{before} ours")).unwrap() == Written::Done {
                        written += 1;
                    }
                }
                written
            });
            for edit in 1..=60 {
                fs::write(&draft, format!("edit {edit}")).unwrap();
                fs::rename(&draft, &file).unwrap();
                std::thread::sleep(Duration::from_micros(300));
                // While a write is taken back, what it wrote shows for a moment.
                let shows = || fs::read_to_string(&file).unwrap().starts_with(&format!("edit {edit}"));
                assert!((0..1000).any(|_| shows()), "edit {edit} is lost");
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(writer.join().unwrap() > 0);
        });
    }
}
