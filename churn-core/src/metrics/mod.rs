//! Numbers that judge numbers: labels, scores and treatments in, one measure or curve out.

pub mod uplift;
