//! Temporary
pub mod system;
