//! Win-back journeys: dated steps, contact policy, hold-out, replay.
