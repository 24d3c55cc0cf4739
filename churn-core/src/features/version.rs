//! The version of stored populations and cuts.

use serde::de::{Deserialize, Deserializer, Error};

/// The version that this library writes.
pub(super) const CURRENT: u32 = 1;

/// Reads a version, refusing those that this library cannot know.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if (1..=CURRENT).contains(&version) {
        Ok(version)
    } else {
        Err(D::Error::custom(format_args!(
            "version {version}, where this library reads 1 to {CURRENT}"
        )))
    }
}
