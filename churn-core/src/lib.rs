#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "arrow")]
pub mod arrow;
pub mod behavior;
pub mod customers;
pub mod defaults;
pub mod error;
pub mod evaluation;
pub mod events;
pub mod features;
pub mod journey;
mod math;
pub mod metrics;
pub mod progress;
pub mod scoring;
mod sections;
pub mod segments;
pub mod settings;
pub mod simulate;
pub mod strategy;
pub mod text;
pub mod time;
pub mod winback;

pub use customers::{CustomerId, Customers};
pub use error::{Error, ErrorKind, Result};
pub use events::{EventLog, History};
pub use time::{AsOf, Horizon, TimeUnit, Timestamp};

/// The examples of the project's README, so that they run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ProjectReadme;
