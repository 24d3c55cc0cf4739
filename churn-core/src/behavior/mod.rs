//! What customers did, seen together: cohorts, retention, lifecycle over time.
