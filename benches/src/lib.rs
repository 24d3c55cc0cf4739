//! What the measurements share: simulated logs in every order of arrival, and a stopwatch that
//! also counts processor time and memory.

pub mod input;
pub mod measure;
pub mod size;
