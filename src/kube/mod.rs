//! The management cluster: the kubeconfig that leads to it, and its API.

mod client;
mod kubeconfig;

pub use client::{Answer, ask_version};
pub use kubeconfig::{Credentials, Kubeconfig, Target};
