//! Models learned from outcomes.

mod frame;

pub use frame::{Column, Frame, MISSING_LEVEL};
