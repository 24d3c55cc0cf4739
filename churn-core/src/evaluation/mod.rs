//! What really happened, beside what was expected: experiments, hold-outs, policies.
