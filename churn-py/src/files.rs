//! Saved logs and tables: paths, binary files of Python, bytes.

use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;

use churn_core::progress::Progress;
use churn_core::{Error, ErrorKind};
use churn_files::Failure;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{OrRaise, cannot_open, wrong_type};
use crate::progress;

/// Bytes gathered before they cross into Python.
const BUFFER: usize = 1 << 20;

/// Writes to a path, where a whole file stands at the end or none, or to a binary file.
pub(crate) fn save(
    target: &Bound<'_, PyAny>,
    observer: Option<&Bound<'_, PyAny>>,
    save: impl FnOnce(&mut dyn Write, &Progress<'_>) -> churn_core::Result<()> + Send,
) -> PyResult<()> {
    let py = target.py();
    if target.hasattr("write")? {
        let file = PyFile(target.clone().unbind());
        return progress::run(py, observer, |progress| {
            save(&mut BufWriter::with_capacity(BUFFER, file), progress)
        });
    }
    let Ok(path) = target.extract::<PathBuf>() else {
        return Err(wrong_type("target", "a path or a binary file", target));
    };
    let mut refused = None;
    let written = progress::run(py, observer, |progress| {
        within(
            churn_files::save(&path, |file| save(file, progress)),
            &mut refused,
        )
    });
    raise(py, written, refused)
}

/// Reads from a path, from a binary file, or from bytes; nothing may follow.
pub(crate) fn load<T: Send>(
    source: &Bound<'_, PyAny>,
    observer: Option<&Bound<'_, PyAny>>,
    load: impl FnOnce(&mut dyn Read, &Progress<'_>) -> churn_core::Result<T> + Send,
) -> PyResult<T> {
    let py = source.py();
    if let Ok(bytes) = source.cast::<PyBytes>() {
        let bytes = bytes.as_bytes();
        return progress::run(py, observer, |progress| {
            let mut rest = bytes;
            let loaded = load(&mut rest, progress)?;
            match rest.len() {
                0 => Ok(loaded),
                more => {
                    let got = format_args!("{more} more bytes");
                    Err(Error::new(ErrorKind::InvalidValue, "file", "its end", got))
                }
            }
        });
    }
    if source.hasattr("read")? {
        let mut file = PyFile(source.clone().unbind());
        return progress::run(py, observer, |progress| load(&mut file, progress));
    }
    let Ok(path) = source.extract::<PathBuf>() else {
        return Err(wrong_type(
            "source",
            "a path, a binary file or bytes",
            source,
        ));
    };
    let mut refused = None;
    let loaded = progress::run(py, observer, |progress| {
        within(
            churn_files::load(&path, |file| load(file, progress)),
            &mut refused,
        )
    });
    raise(py, loaded, refused)
}

type Refused = Option<(PathBuf, io::Error)>;

/// Keeps what the operating system said for an exception of its own.
fn within<T>(result: Result<T, Failure>, refused: &mut Refused) -> churn_core::Result<T> {
    result.map_err(|failure| {
        if let Failure::File(path, error) = &failure {
            let kept = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            *refused = Some((path.clone(), kept));
        }
        failure.into()
    })
}

fn raise<T>(py: Python<'_>, result: PyResult<T>, refused: Refused) -> PyResult<T> {
    match refused {
        Some((path, error)) => Err(cannot_open(py, &path, &error)),
        None => result,
    }
}

/// Scratch space in a folder, by default where Python keeps temporary files.
pub(crate) fn scratch(
    py: Python<'_>,
    folder: Option<&Bound<'_, PyAny>>,
) -> PyResult<churn_files::FileScratch> {
    let folder: PathBuf = match folder {
        Some(folder) => folder
            .extract()
            .map_err(|_| wrong_type("scratch", "a path", folder))?,
        None => py
            .import("tempfile")?
            .call_method0("gettempdir")?
            .extract()?,
    };
    churn_files::FileScratch::new(&folder).or_else(|failure| match failure {
        Failure::File(path, error) => Err(cannot_open(py, &path, &error)),
        Failure::Core(error) => Err(error).or_raise(py),
    })
}

/// A binary file of Python.
struct PyFile(Py<PyAny>);

impl Write for PyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Python::attach(|py| {
            let written = self.0.call_method1(py, "write", (PyBytes::new(py, bytes),));
            // An unbuffered file may take less; None is a file that would have to wait.
            let count = written.and_then(|count| count.extract::<usize>(py));
            count.map_err(|error| io::Error::other(error.to_string()))
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Python::attach(|py| {
            let flushed = match self.0.bind(py).hasattr("flush") {
                Ok(true) => self.0.call_method0(py, "flush").map(|_| ()),
                other => other.map(|_| ()),
            };
            flushed.map_err(|error| io::Error::other(error.to_string()))
        })
    }
}

impl Read for PyFile {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        Python::attach(|py| {
            let mut read = || -> PyResult<usize> {
                let bytes = self.0.call_method1(py, "read", (room.len(),))?;
                let bytes = bytes.bind(py).cast::<PyBytes>()?.as_bytes();
                let count = bytes.len().min(room.len());
                room[..count].copy_from_slice(&bytes[..count]);
                Ok(count)
            };
            read().map_err(|error| io::Error::other(error.to_string()))
        })
    }
}
