//! Streams of any length: batches in, one log per partition out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use churn_core::arrow::BatchReader;
use churn_core::events::{self, Cleaning, ColumnNames, CsvBatches, StreamSettings};
use churn_core::features::{self, FeatureSpec};
use churn_core::progress::Progress;
use churn_core::{AsOf, CustomerId, Error};
use churn_files::FileScratch;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::errors::OrRaise;
use crate::events::{EventLog, csv_options, range, report};
use crate::features::{FeatureTable, Population};
use crate::shared::Shared;
use crate::{convert, files, progress, settings};

/// Rows of a CSV file that are read at a time.
const CSV_ROWS: usize = 1 << 20;

type Core = events::LogStream<FileScratch>;
type Parts = events::PartitionedLog<FileScratch>;

/// Takes batches of events one by one and spreads them over files, customer by customer.
#[pyclass(frozen, module = "churn")]
pub(crate) struct LogStream {
    /// Empty while a batch is on its way and once the stream is finished.
    slot: Mutex<Option<Core>>,
}

impl LogStream {
    fn slot(&self) -> MutexGuard<'_, Option<Core>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, py: Python<'_>) -> PyResult<Core> {
        let gone = || {
            let expected = "a stream that is neither finished nor at work";
            Error::invalid_parameter("stream", expected, "one that is")
        };
        self.slot().take().ok_or_else(gone).or_raise(py)
    }

    /// Works on the stream and puts it back, whatever comes of it.
    fn with(
        &self,
        py: Python<'_>,
        observer: Option<&Bound<'_, PyAny>>,
        work: impl FnOnce(&mut Core, &Progress<'_>) -> churn_core::Result<()> + Send,
    ) -> PyResult<()> {
        let mut stream = self.take(py)?;
        let worked = progress::run(py, observer, |progress| work(&mut stream, progress));
        *self.slot() = Some(stream);
        worked
    }
}

#[pymethods]
impl LogStream {
    #[new]
    #[pyo3(signature = (scratch=None, *, partitions=None, buffer_bytes=None, **cleaning))]
    fn open(
        py: Python<'_>,
        scratch: Option<&Bound<'_, PyAny>>,
        partitions: Option<&Bound<'_, PyAny>>,
        buffer_bytes: Option<&Bound<'_, PyAny>>,
        cleaning: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let stated = PyDict::new(py);
        for (name, value) in [("partitions", partitions), ("buffer_bytes", buffer_bytes)] {
            if let Some(value) = value {
                stated.set_item(name, value)?;
            }
        }
        let settings: StreamSettings = settings::read(py, "stream", Some(&stated))?;
        let cleaning: Cleaning = settings::read(py, "cleaning", cleaning)?;
        let scratch = files::scratch(py, scratch)?;
        let stream = Core::new(scratch, &settings, &cleaning).or_raise(py)?;
        Ok(LogStream {
            slot: Mutex::new(Some(stream)),
        })
    }

    /// Adds a batch, or all batches of an Arrow reader one by one.
    #[pyo3(signature = (data, *, names=None, progress=None))]
    fn push(
        &self,
        data: &Bound<'_, PyAny>,
        names: Option<&Bound<'_, PyDict>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = data.py();
        let names: ColumnNames = settings::read(py, "names", names)?;
        if let Some(arrow) = convert::stream_of(data)? {
            // A stream may belong to the thread that asked for it, so it is read on this one.
            let reader = py.detach(|| BatchReader::from_stream(arrow, &names));
            let mut reader = reader.or_raise(py)?;
            while let Some(batch) = py.detach(|| reader.next()).or_raise(py)? {
                self.with(py, progress, |stream, progress| {
                    stream.push_batches(&batch, progress)
                })?;
            }
            return Ok(());
        }
        let batches = convert::events(data, &names)?;
        self.with(py, progress, |stream, progress| {
            stream.push_batches(&batches, progress)
        })
    }

    /// Adds a CSV file, plain or gzip, however long.
    #[pyo3(signature = (source, *, names=None, delimiter=None, unreadable=None, progress=None))]
    fn push_csv(
        &self,
        source: &Bound<'_, PyAny>,
        names: Option<&Bound<'_, PyAny>>,
        delimiter: Option<&Bound<'_, PyAny>>,
        unreadable: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = source.py();
        let mut options = csv_options(py, names, delimiter, unreadable)?;
        let (bytes, size) = convert::bytes(source)?;
        options.total_bytes = size;
        self.with(py, progress, |stream, progress| {
            let mut batches = CsvBatches::open(bytes, &options, progress)?;
            while let Some(batch) = batches.next(CSV_ROWS)? {
                stream.push(&batch.columns(), progress)?;
            }
            Ok(())
        })
    }

    /// Orders the partitions; the stream is used up then.
    #[pyo3(signature = (*, progress=None))]
    fn finish(
        &self,
        py: Python<'_>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PartitionedLog> {
        let stream = self.take(py)?;
        let log = progress::run(py, progress, |progress| stream.finish(progress))?;
        Ok(PartitionedLog { log: Arc::new(log) })
    }

    /// Number of rows pushed so far.
    #[getter]
    fn rows(&self, py: Python<'_>) -> PyResult<u64> {
        let stream = self.take(py)?;
        let rows = stream.rows();
        *self.slot() = Some(stream);
        Ok(rows)
    }

    fn __repr__(&self) -> String {
        match &*self.slot() {
            Some(stream) => format!("LogStream({} rows so far)", stream.rows()),
            None => "LogStream(finished or at work)".to_owned(),
        }
    }
}

/// The logs of a stream, one per partition, in files that go with it.
#[pyclass(frozen, module = "churn")]
pub(crate) struct PartitionedLog {
    log: Arc<Parts>,
}

#[pymethods]
impl PartitionedLog {
    /// Number of partitions.
    #[getter]
    fn partitions(&self) -> usize {
        self.log.partitions()
    }

    /// The log of one partition.
    #[pyo3(signature = (partition, *, progress=None))]
    fn log(
        &self,
        py: Python<'_>,
        partition: usize,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<EventLog> {
        progress::run(py, progress, |progress| self.log.log(partition, progress)).map(EventLog::new)
    }

    /// The partition that holds a customer, known or not.
    fn partition_of(&self, customer: &Bound<'_, PyAny>) -> PyResult<usize> {
        if let Ok(id) = customer.cast::<PyString>() {
            return Ok(self.log.partition_of(CustomerId::Text(&id.to_cow()?)));
        }
        // Signed and unsigned ids of one value are in one partition.
        match customer.extract::<i64>() {
            Ok(id) => Ok(self.log.partition_of(id)),
            Err(_) => Ok(self.log.partition_of(customer.extract::<u64>()?)),
        }
    }

    /// What all customers of all partitions together teach.
    #[pyo3(signature = (as_of, *, progress=None, **spec))]
    fn learn(
        &self,
        as_of: &Bound<'_, PyAny>,
        progress: Option<&Bound<'_, PyAny>>,
        spec: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Population> {
        let py = as_of.py();
        let as_of = convert::as_of(as_of)?;
        let spec: FeatureSpec = settings::read(py, "features", spec)?;
        let learned = progress::run(py, progress, |progress| {
            features::Population::fit_parts(&self.log, as_of, &spec, progress)
        })?;
        Ok(Population {
            population: Shared::new(learned),
        })
    }

    /// The feature tables, one partition after another.
    #[pyo3(signature = (as_of, *, population=None, progress=None, **spec))]
    fn features(
        &self,
        as_of: &Bound<'_, PyAny>,
        population: Option<&Population>,
        progress: Option<&Bound<'_, PyAny>>,
        spec: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<FeatureTables> {
        let py = as_of.py();
        let population = match population {
            Some(Population { population }) => population.clone(),
            None => self.learn(as_of, progress, spec)?.population,
        };
        Ok(FeatureTables {
            log: Arc::clone(&self.log),
            as_of: convert::as_of(as_of)?,
            spec: settings::read(py, "features", spec)?,
            population,
            observer: progress.map(|progress| progress.clone().unbind()),
            next: Mutex::new(0),
        })
    }

    fn __len__(&self) -> usize {
        usize::try_from(self.log.len()).unwrap_or(usize::MAX)
    }

    /// Number of customers.
    #[getter]
    fn customer_count(&self) -> u64 {
        self.log.customer_count()
    }

    /// Names of the channels, sorted.
    #[getter]
    fn channels(&self) -> Vec<String> {
        self.log.channels().to_vec()
    }

    /// First and last instant, or None for an empty stream.
    #[getter]
    fn time_range<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        range(py, self.log.time_range())
    }

    /// What cleaning did to the whole stream.
    #[getter]
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        report(py, self.log.report())
    }

    fn __repr__(&self) -> String {
        format!(
            "PartitionedLog({} events of {} customers in {} partitions)",
            self.log.len(),
            self.log.customer_count(),
            self.log.partitions()
        )
    }
}

/// Feature tables of a stream, each built when it is asked for.
#[pyclass(frozen, module = "churn")]
pub(crate) struct FeatureTables {
    log: Arc<Parts>,
    as_of: AsOf,
    spec: FeatureSpec,
    population: Shared<features::Population>,
    observer: Option<Py<PyAny>>,
    next: Mutex<usize>,
}

#[pymethods]
impl FeatureTables {
    /// What all customers together taught.
    #[getter]
    fn population(&self) -> Population {
        Population {
            population: self.population.clone(),
        }
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<FeatureTable>>> {
        let partition = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            if *next == self.log.partitions() {
                return Ok(None);
            }
            *next += 1;
            *next - 1
        };
        let observer = self.observer.as_ref().map(|observer| observer.bind(py));
        let table = progress::run(py, observer, |progress| {
            let part = self.log.log(partition, progress)?;
            features::build_with(
                &part.history(self.as_of),
                &self.spec,
                &self.population,
                progress,
            )
        })?;
        let population = Some(self.population.clone());
        FeatureTable::wrap(py, Shared::new(table), population).map(Some)
    }

    fn __repr__(&self) -> String {
        let next = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.log.partitions();
        format!("FeatureTables({} of {all} partitions to come)", all - next)
    }
}
