//! Shared pieces of the peer tests.
