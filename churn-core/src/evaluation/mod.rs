//! What really happened, beside what was expected: experiments, hold-outs, policies.
//!
//! A line belongs in this room if it compares with outcomes. Nothing below reads this room: what
//! an experiment taught goes back into strategy as a value of a type that strategy defines.

pub mod experiment;
