//! What a table handle holds: a value of its own, or a part of a whole result.

use std::ops::Deref;
use std::sync::Arc;

use churn_core::winback::WinBack;

/// A value, or a part of the result of the whole flow, which is kept in one piece because it can
/// also be asked as a whole.
pub(crate) enum Held<T: 'static> {
    Own(T),
    Part(Arc<WinBack>, fn(&WinBack) -> &T),
}

impl<T> From<T> for Held<T> {
    fn from(value: T) -> Self {
        Held::Own(value)
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Held::Own(value) => value,
            Held::Part(whole, part) => part(whole),
        }
    }
}
