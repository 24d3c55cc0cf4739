//! Room outside the core for the rows of a stream.

use std::io::{self, Read};

/// Scratch space for a [`LogStream`](super::LogStream), one growing file per partition: the core
/// does no I/O of its own, so that the caller decides between files, memory and anything else.
///
/// Nothing is asked of it but that bytes come back as they were given; what comes back is checked.
pub trait Scratch {
    /// Adds bytes at the end of a partition, which is empty before the first.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being stored; the stream cannot go on then.
    fn append(&mut self, partition: usize, bytes: &[u8]) -> io::Result<()>;

    /// All bytes of a partition, from its start.
    ///
    /// # Errors
    /// Whatever keeps them from being read.
    fn read(&self, partition: usize) -> io::Result<Box<dyn Read + '_>>;

    /// Empties a partition.
    ///
    /// # Errors
    /// Whatever keeps it from being emptied.
    fn clear(&mut self, partition: usize) -> io::Result<()>;
}

/// Scratch space in memory, for tests and for streams that turn out to be short.
#[derive(Debug, Clone, Default)]
pub struct MemoryScratch {
    partitions: Vec<Vec<u8>>,
}

impl MemoryScratch {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes held at the moment.
    pub fn len(&self) -> usize {
        self.partitions.iter().map(Vec::len).sum()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Scratch for MemoryScratch {
    fn append(&mut self, partition: usize, bytes: &[u8]) -> io::Result<()> {
        if self.partitions.len() <= partition {
            self.partitions.resize_with(partition + 1, Vec::new);
        }
        self.partitions[partition].extend_from_slice(bytes);
        Ok(())
    }

    fn read(&self, partition: usize) -> io::Result<Box<dyn Read + '_>> {
        let bytes = self
            .partitions
            .get(partition)
            .map_or(&[][..], Vec::as_slice);
        Ok(Box::new(bytes))
    }

    fn clear(&mut self, partition: usize) -> io::Result<()> {
        if let Some(bytes) = self.partitions.get_mut(partition) {
            *bytes = Vec::new();
        }
        Ok(())
    }
}
