//! Files for the core, which reads and writes bytes and knows no path: saving that never leaves half
//! a file behind, loading that notices what follows the end, and scratch space in a folder.
//!
//! ```
//! use churn_core::events::{Cleaning, EventColumns, EventKind};
//! use churn_core::{EventLog, TimeUnit};
//! let columns = EventColumns::new(&["ann"], &[10], TimeUnit::Day, EventKind::Purchase);
//! let log = EventLog::from_columns(&columns, &Cleaning::default())?;
//! let path = std::env::temp_dir().join(format!("churn-files-{}", std::process::id()));
//! churn_files::save(&path, |file| log.save(file))?;
//! assert_eq!(churn_files::load(&path, |file| EventLog::load(file))?, log);
//! # std::fs::remove_file(&path).unwrap();
//! # Ok::<(), churn_files::Failure>(())
//! ```
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use churn_core::events::Scratch;
use churn_core::{Error, ErrorKind};

/// Why a file was not saved or loaded.
#[derive(Debug)]
pub enum Failure {
    /// The operating system's reason, at this path.
    File(PathBuf, io::Error),
    /// What is in the file, or what was to be.
    Core(Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::File(path, error) => write!(f, "{}: {error}", path.display()),
            Failure::Core(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Core(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Core(error) => error,
            Failure::File(path, error) => {
                let what = path.display().to_string();
                Error::new(ErrorKind::InvalidValue, what, "a usable file", error)
            }
        }
    }
}

/// A number that this process has not used yet.
fn unused() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Writes a file beside `path` and moves it there once it is whole, so that whoever reads `path`
/// finds the old file or the new one.
///
/// # Errors
/// What `write` answers, and what the operating system says; nothing is left behind then.
pub fn save(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> churn_core::Result<()>,
) -> Result<(), Failure> {
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(format!(".{}.{}.part", process::id(), unused()));
    let part = path.with_file_name(name);
    let wrong = |error| Failure::File(path.to_owned(), error);
    let file = File::create_new(&part).map_err(wrong)?;
    let written = fill(file, write).and_then(|()| fs::rename(&part, path).map_err(wrong));
    written.map_err(|failure| {
        // The first failure is the one worth telling.
        let _ = fs::remove_file(&part);
        match failure {
            Failure::File(_, error) => wrong(error),
            core => core,
        }
    })
}

fn fill(
    file: File,
    write: impl FnOnce(&mut BufWriter<File>) -> churn_core::Result<()>,
) -> Result<(), Failure> {
    let wrong = |error| Failure::File(PathBuf::new(), error);
    let mut file = BufWriter::with_capacity(1 << 18, file);
    write(&mut file)?;
    let file = file
        .into_inner()
        .map_err(|error| wrong(error.into_error()))?;
    // Without this a crash of the machine could leave an empty file under the new name.
    file.sync_all().map_err(wrong)
}

/// Reads a whole file.
///
/// # Errors
/// What `read` answers, and what the operating system says; `InvalidValue` for bytes behind those
/// that `read` took.
pub fn load<T>(
    path: &Path,
    read: impl FnOnce(&mut File) -> churn_core::Result<T>,
) -> Result<T, Failure> {
    let wrong = |error| Failure::File(path.to_owned(), error);
    let mut file = File::open(path).map_err(wrong)?;
    let loaded = read(&mut file)?;
    match file.read(&mut [0]).map_err(wrong)? {
        0 => Ok(loaded),
        _ => Err(Error::new(ErrorKind::InvalidValue, "file", "its end", "more bytes").into()),
    }
}

/// Scratch space in a folder of its own, which goes with it.
#[derive(Debug)]
pub struct FileScratch {
    folder: PathBuf,
}

impl FileScratch {
    /// A fresh folder inside `parent`, e.g. [`std::env::temp_dir`].
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn new(parent: &Path) -> Result<Self, Failure> {
        loop {
            let folder = parent.join(format!("churn-scratch-{}-{}", process::id(), unused()));
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(FileScratch { folder }),
                // Left behind by another process of this number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::File(parent.to_owned(), error)),
            }
        }
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn file(&self, partition: usize) -> PathBuf {
        self.folder.join(partition.to_string())
    }
}

impl Scratch for FileScratch {
    // A file is opened for each of the few large pieces that it gets, because there may be more
    // partitions than a process may have open files.
    fn append(&mut self, partition: usize, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(self.file(partition));
        file?.write_all(bytes)
    }

    fn read(&self, partition: usize) -> io::Result<Box<dyn Read + '_>> {
        match File::open(self.file(partition)) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Box::new(io::empty())),
            Err(error) => Err(error),
        }
    }

    fn clear(&mut self, partition: usize) -> io::Result<()> {
        match fs::remove_file(self.file(partition)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for FileScratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use churn_core::events::{Cleaning, EventColumns, EventKind, LogStream, StreamSettings};
    use churn_core::progress::Progress;
    use churn_core::{EventLog, TimeUnit};

    use super::*;

    fn log() -> EventLog {
        let columns = EventColumns::new(&["a", "b"], &[1, 2], TimeUnit::Day, EventKind::View);
        EventLog::from_columns(&columns, &Cleaning::default()).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_save_leaves_the_old_file_and_nothing_else() {
        let folder = FileScratch::new(&std::env::temp_dir()).unwrap();
        let path = folder.folder().join("log.churn");
        save(&path, |file| log().save(file)).unwrap();
        let stop = |file: &mut BufWriter<File>| {
            file.write_all(b"half").unwrap();
            Err(Error::cancelled("file.save"))
        };
        let failure = save(&path, stop).unwrap_err();
        assert!(matches!(failure, Failure::Core(error) if error.kind() == ErrorKind::Cancelled));
        assert_eq!(load(&path, |file| EventLog::load(file)).unwrap(), log());
        assert_eq!(names(folder.folder()), ["log.churn"]);

        let nowhere = folder.folder().join("no").join("log.churn");
        let failure = save(&nowhere, |file| log().save(file)).unwrap_err();
        assert!(matches!(failure, Failure::File(path, _) if path == nowhere));
        assert!(load(&nowhere, |file| EventLog::load(file)).is_err());

        let mut longer = fs::read(&path).unwrap();
        longer.push(0);
        fs::write(&path, longer).unwrap();
        let failure = load(&path, |file| EventLog::load(file)).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "file: expected its end, got more bytes"
        );
    }

    #[test]
    fn scratch_space_comes_and_goes() {
        let none = Progress::none();
        let scratch = FileScratch::new(&std::env::temp_dir()).unwrap();
        let folder = scratch.folder().to_owned();
        let settings = StreamSettings {
            partitions: 7,
            buffer_bytes: 1 << 20,
        };
        let mut stream = LogStream::new(scratch, &settings, &Cleaning::default()).unwrap();
        let ids: Vec<i64> = (0..100_000).collect();
        let times = vec![3; ids.len()];
        let rows = EventColumns::new(&ids, &times, TimeUnit::Day, EventKind::View);
        stream.push(&rows, &none).unwrap();
        stream.push(&rows, &none).unwrap();
        let parts = stream.finish(&none).unwrap();
        assert_eq!(names(&folder).len(), 7);
        assert_eq!((parts.len(), parts.customer_count()), (200_000, 100_000));
        assert_eq!(parts.report().duplicates_kept.rows, 100_000);
        let log = parts.log(parts.partition_of(77_i64), &none).unwrap();
        assert!(log.customers().find(77_i64).is_some());
        drop(parts);
        assert!(!folder.exists());
    }
}
