//! The twinspire.v1 protocol and its generated types.
