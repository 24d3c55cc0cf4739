//! The C interface of churn: `libchurn` and `include/churn.h`.
//!
//! One room per file, named as in `churn-core`; conversion of arrays is in `columns`, the border
//! (panics, NULL, handles) in `guard`, the error object in `error`. No function decides anything
//! about data: it converts in, calls the core, maps the error, converts out.
//!
//! # Safety
//! The contract of every exported function, stated once; `docs/C_ABI.md` says the same to C:
//! - a handle is NULL or came from this library and is not freed yet; a `const` handle may be
//!   shared between threads, another one is used by one thread at a time;
//! - an output is NULL or valid for writing; it is written on success only;
//! - an array is NULL (length 0) or holds the stated number of values;
//! - a text ends in NUL; `error` is NULL or a place for one pointer.
#![deny(unsafe_op_in_unsafe_fn)]
// The types are named as C names them, so that the header needs no table of names.
#![allow(non_camel_case_types)]
// The contract is the same for all functions and stands above.
#![allow(clippy::missing_safety_doc)]

pub mod analysis;
pub mod append;
mod arrow;
pub mod behavior;
pub mod bytes;
pub mod cleaning;
pub mod columns;
pub mod customers;
pub mod defaults;
pub mod describer;
pub mod error;
pub mod evaluation;
pub mod events;
pub mod features;
mod guard;
mod held;
pub mod journey;
pub mod lifetime;
pub mod model;
pub mod optimize;
pub mod planning;
pub mod progress;
pub mod rankings;
pub mod renewals;
pub mod running;
pub mod saved;
pub mod scoring;
pub mod segments;
pub mod strategy;
pub mod stream;
pub mod summary;
pub mod survival;
pub mod texts;
pub mod uplift;
pub mod version;
pub mod winback;

#[global_allocator]
static MEMORY: churn_memory::LargePages = churn_memory::LargePages;
