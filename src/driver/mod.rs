//! The driver: installed exactly as pinned, every file as its RECORD says.
//!
//! A new version is staged beside the site directory, checked and loaded there, and then swapped
//! in by renames: the installed driver is whole at every moment but for one instant between two
//! renames, which the next look at RECORD finds.

mod installed;
mod pip;
mod staged;
mod supply;
mod wheel;

pub use installed::{Damage, Driver, Installed, look, shadows};
pub use staged::Staged;
pub use supply::{Knowledge, Supply};
