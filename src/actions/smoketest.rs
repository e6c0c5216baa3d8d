//! The action `smoketest`: a template, and on demand a cluster, through Magnum's own API.

pub use crate::smoketest::run;
