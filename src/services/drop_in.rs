//! The drop-ins and the command lines in them (the runbook's section 8).

use std::collections::BTreeMap;

use anyhow::Result;

use crate::escape::unit_value;
use crate::juju::settings::LogTo;
use crate::magnum::{CONFIGURATION_ARGUMENTS, Service, StartDefaults};
use crate::system::ManagedFile;

/// What is wanted of the services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredServices {
    pub command_lines: BTreeMap<Service, String>,
    /// In the order of [`Service::ALL`].
    pub drop_ins: Vec<ManagedFile>,
}

impl DesiredServices {
    /// Returns the drop-ins for what the start scripts give. `header` begins every file that the charm writes.
    ///
    /// # Errors
    /// If no unit file can hold what they give.
    pub fn new(header: &str, log_to: LogTo, defaults: &BTreeMap<Service, StartDefaults>) -> Result<Self> {
        let none = StartDefaults::default();
        let (mut command_lines, mut drop_ins) = (BTreeMap::new(), Vec::new());
        for service in Service::ALL {
            let defaults = defaults.get(&service).unwrap_or(&none);
            let command_line = command_line(service, log_to, defaults);
            // The empty `ExecStart=` clears the inherited one.
            let mut text = format!("{header}[Service]\nExecStart=\nExecStart={}\n", unit_value(&command_line)?);
            if let Some(umask) = &defaults.umask {
                text.push_str(&format!("UMask={}\n", unit_value(umask)?));
            }
            drop_ins.push(ManagedFile::public(drop_in_path(service), text));
            command_lines.insert(service, command_line);
        }
        Ok(Self { command_lines, drop_ins })
    }
}

/// Returns the path of the drop-in that sets a service's command line.
pub fn drop_in_path(service: Service) -> &'static str {
    match service {
        Service::Api => "/etc/systemd/system/magnum-api.service.d/override.conf",
        Service::Conductor => "/etc/systemd/system/magnum-conductor.service.d/override.conf",
    }
}

/// conf.d comes after every other configuration, so that the graft's fragment wins.
fn command_line(service: Service, log_to: LogTo, defaults: &StartDefaults) -> String {
    let [config_file, config_dir] = CONFIGURATION_ARGUMENTS.map(str::to_owned);
    let mut words = vec![service.program().to_owned(), config_file];
    words.extend_from_slice(&defaults.config_files);
    words.push(config_dir);
    if log_to == LogTo::File {
        words.push(format!("--log-file=/var/log/magnum/{}.log", service.name()));
    }
    words.extend_from_slice(&defaults.arguments);
    words.join(" ")
}

/// Whether a command line reads the graft's fragment.
pub fn is_grafted(command_line: &str) -> bool {
    command_line.split(' ').any(|word| word == CONFIGURATION_ARGUMENTS[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conductor(log_to: LogTo, defaults: StartDefaults) -> String {
        let desired = DesiredServices::new("# ours\n", log_to, &BTreeMap::from([(Service::Conductor, defaults)]));
        String::from_utf8(desired.unwrap().drop_ins[1].bytes.clone()).unwrap()
    }

    #[test]
    fn the_drop_in_clears_the_inherited_command_line_first() {
        assert_eq!(
            conductor(LogTo::Journal, StartDefaults::default()),
            "# ours\n[Service]\nExecStart=\nExecStart=/usr/bin/magnum-conductor \
             --config-file=/etc/magnum/magnum.conf --config-dir=/etc/magnum/magnum.conf.d\n"
        );
    }

    #[test]
    fn what_the_start_script_gives_is_carried_over_and_the_fragments_come_last() {
        let defaults = StartDefaults {
            config_files: vec!["--config-file=/etc/magnum/site.conf".into()],
            arguments: vec!["--debug".into()],
            umask: Some("027".into()),
            ignored: vec![],
        };
        let drop_in = conductor(LogTo::File, defaults);
        assert!(drop_in.ends_with(
            "--config-file=/etc/magnum/magnum.conf --config-file=/etc/magnum/site.conf \
             --config-dir=/etc/magnum/magnum.conf.d --log-file=/var/log/magnum/magnum-conductor.log --debug\n\
             UMask=027\n"
        ));
        let command_line = drop_in.lines().nth(3).unwrap().trim_start_matches("ExecStart=");
        assert!(is_grafted(command_line));
    }

    #[test]
    fn an_argument_with_a_line_break_is_no_directive_of_its_own() {
        let defaults = StartDefaults { arguments: vec!["--x\nUser=root".into()], ..StartDefaults::default() };
        let defaults = BTreeMap::from([(Service::Api, defaults)]);
        assert!(DesiredServices::new("", LogTo::Journal, &defaults).is_err());
    }
}
