//! The sha256 of bytes, as people compare it.

use sha2::{Digest as _, Sha256};

/// The sha256 of `bytes` in hexadecimal.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
