//! Results of the core that several Python objects hold, each whole or as a part of a flow.

use std::ops::Deref;
use std::sync::Arc;

use churn_core::winback::WinBack;

/// A shared `T`, cheap to clone: the core hands out whole flows, Python their tables.
pub(crate) enum Shared<T> {
    Whole(Arc<T>),
    Part(Arc<WinBack>, fn(&WinBack) -> &T),
}

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Shared::Whole(Arc::new(value))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        match self {
            Shared::Whole(whole) => Shared::Whole(Arc::clone(whole)),
            Shared::Part(flow, part) => Shared::Part(Arc::clone(flow), *part),
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Shared::Whole(whole) => whole,
            Shared::Part(flow, part) => part(flow),
        }
    }
}
