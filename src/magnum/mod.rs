//! Magnum, the principal's workload, as the principal installed it: its services, its Python, its configuration and
//! what its packaged start scripts give the daemons. None of it is the charm's to change.

pub mod checks;
mod defaults;
mod entry_points;
mod environment;
mod installation;
pub mod oslo;
pub(crate) mod python;
mod questions;
mod service;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

pub use defaults::{StartDefaults, configuration_in};
pub use entry_points::{DRIVERS_GROUP, entry_points};
pub use environment::{EnvironmentSource, ServiceEnvironment};
pub use installation::Installation;
pub use oslo::Configuration;
pub use python::{MAGNUM_USER, Python, exception};
pub use questions::{Answers, Asked, Effective, Loaded, PythonAnswers, Reading, StartRefusal, TrusteeDomain};
pub use service::Service;

use crate::system::{Budget, Command, Root, System};

/// The directory of the configuration; it belongs to user magnum.
pub const MAGNUM_DIRECTORY: &str = "/etc/magnum";
/// The main configuration file; the principal renders it.
pub const MAGNUM_CONF: &str = "/etc/magnum/magnum.conf";
/// The directory of configuration fragments; absent on a fresh deployment.
pub const CONF_DIRECTORY: &str = "/etc/magnum/magnum.conf.d";
/// What is read of a directory of configuration: the principal's files have 30 kB.
pub const CONF_BUDGET: Budget = Budget::new(1000, 8 << 20);
/// How long reading a file as user magnum may take.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// The driver's name in the entry point group `magnum.drivers` (`entry_points.txt` of every release).
pub const ENTRY_POINT: &str = "k8s_capi_helm_v1";
/// The arguments with which a service reads the graft's fragment, after every other file.
pub const CONFIGURATION_ARGUMENTS: [&str; 2] =
    ["--config-file=/etc/magnum/magnum.conf", "--config-dir=/etc/magnum/magnum.conf.d"];

/// Returns those of the arguments whose file or directory is there: conf.d is made with the graft, and before that the
/// services do without it.
///
/// # Errors
/// If one cannot be looked at.
pub fn configuration_arguments(root: &Root) -> Result<Vec<&'static str>> {
    let mut arguments = vec![CONFIGURATION_ARGUMENTS[0]];
    arguments.extend(root.is_directory(Path::new(CONF_DIRECTORY))?.then_some(CONFIGURATION_ARGUMENTS[1]));
    Ok(arguments)
}

/// Reads a file that user magnum may name, as user magnum.
///
/// # Errors
/// Why that fails, in a few words.
pub fn read_as_magnum(system: &System, path: &Path) -> Result<Vec<u8>, String> {
    print_as_magnum(system, &Command::new("cat", READ_LIMIT), path)
}

/// Reads the last `most` bytes of such a file.
///
/// # Errors
/// Why that fails, in a few words.
pub fn read_end_as_magnum(system: &System, path: &Path, most: u64) -> Result<Vec<u8>, String> {
    print_as_magnum(system, &Command::new("tail", READ_LIMIT).arg(format!("--bytes={most}")), path)
}

/// Whether user magnum may list a directory and enter it.
///
/// # Errors
/// If that cannot be asked.
pub fn is_open_to_magnum(system: &System, directory: &Path) -> Result<bool> {
    let test = Command::new("test", READ_LIMIT).as_user(MAGNUM_USER);
    let output = system.run(&test.arg("-r").arg(directory).args(["-a", "-x"]).arg(directory))?;
    match output.code {
        Some(0) => Ok(true),
        Some(1) if output.stderr.is_empty() => Ok(false),
        _ => bail!(output.failure()),
    }
}

fn print_as_magnum(system: &System, command: &Command, path: &Path) -> Result<Vec<u8>, String> {
    let output = system.run(&command.clone().as_user(MAGNUM_USER).arg("--").arg(path));
    let output = output.map_err(|error| format!("{error:#}"))?;
    match output.code {
        Some(0) => Ok(output.stdout),
        _ => Err(output.stderr.trim().trim_start_matches("cat: ").trim_start_matches("tail: ").to_owned()),
    }
}
