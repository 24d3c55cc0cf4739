//! Numbers without customers in them: what the rooms above compute with.

pub(crate) mod checksum;
pub(crate) mod distributions;
pub(crate) mod eigen;
pub(crate) mod gauss;
pub(crate) mod incomplete_beta;
pub(crate) mod linalg;
pub(crate) mod optimize;
pub(crate) mod random;
pub(crate) mod rising;
pub(crate) mod special;
pub(crate) mod stats;
pub(crate) mod sum;
