//! The graft: what is wanted of each of its parts, how they are found, and the steps between.
//!
//! | part | file |
//! |---|---|
//! | driver | [`driver`] |
//! | helm | [`helm`] |
//! | chart | [`chart`] |
//! | kubeconfig | [`kubeconfig`] |
//! | conf, drop-ins; the bytes of every file | [`files`] |
//! | services; what their start scripts gave them | [`services`], [`defaults`] |
//! | guard | [`guard`] |
//!
//! [`Desired`] and [`plan()`] are pure functions of plain data. [`Observed`] only looks,
//! [`apply`] only does what the plan says.

pub mod apply;
pub mod chart;
pub mod defaults;
pub mod driver;
pub mod files;
pub mod guard;
pub mod helm;
pub mod kubeconfig;
mod observed;
mod plan;
pub mod services;
mod supplies;
mod turn;

pub use files::{Desired, ManagedFile};
pub use observed::{Observed, Remains};
pub use plan::{Step, plan, plan_departure};
pub use services::Service;
pub use supplies::{Facts, Pace, Supplies, Surroundings, parts};
pub use turn::{AskTurn, Staged, Turn, without_restarts_of_hooks};

/// The driver's name in Magnum's entry points (`entry_points.txt` of every release).
pub const ENTRY_POINT: &str = "k8s_capi_helm_v1";
