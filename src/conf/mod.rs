//! The files of the graft: kubeconfig, conf and drop-ins, with their exact bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::defaults::Defaults;
use super::services::Service;
use super::{ENTRY_POINT, Facts, chart, guard, helm};
use crate::ground::Ground;
use crate::problem::Problem;
use crate::settings::{Pin, Settings, first_non_ascii};
use crate::unit::files::{Access, Entry};

/// Where the driver is told to find the kubeconfig.
pub const KUBECONFIG: &str = "/etc/magnum/kubeconfig";
/// The directory of configuration fragments; absent on a fresh deployment.
pub const CONF_DIRECTORY: &str = "/etc/magnum/magnum.conf.d";
/// The graft's fragment; the number puts it after any other.
pub const CONF: &str = "/etc/magnum/magnum.conf.d/99-capi.conf";

/// Begins every file of configuration that the charm writes.
pub const HEADER: &str =
    "# Written by the magnum-capi-helm charm, which puts back what is changed here.\n";

/// A file the charm puts in place and keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct ManagedFile {
    /// Where.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Owner and mode.
    pub access: Access,
}

/// Without the content, which may be secret.
impl std::fmt::Debug for ManagedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ManagedFile({}, {:?})", self.path.display(), self.access)
    }
}

impl ManagedFile {
    /// root:root 0644.
    pub fn public(path: impl Into<PathBuf>, text: String) -> Self {
        Self {
            path: path.into(),
            bytes: text.into_bytes(),
            access: Access::PUBLIC,
        }
    }

    /// Whether everybody may read it.
    pub fn is_public(&self) -> bool {
        self.access == Access::PUBLIC
    }

    /// How what stands there differs, in a few words; `None` when it does not.
    pub fn drift(&self, found: &Entry) -> Option<String> {
        match found {
            Entry::Absent => Some("missing".to_owned()),
            Entry::Directory => Some("a directory stands in its place".to_owned()),
            Entry::Other(what) => Some(format!("{what} stands in its place")),
            Entry::File(file) if file.bytes != self.bytes => Some("other content".to_owned()),
            Entry::File(file) if file.access != self.access => Some(format!(
                "owner {}:{}, mode {:04o} instead of {}:{}, {:04o}",
                file.access.uid,
                file.access.gid,
                file.access.mode,
                self.access.uid,
                self.access.gid,
                self.access.mode
            )),
            Entry::File(_) => None,
        }
    }
}

/// Everything the graft is to be on this unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The driver's version.
    pub pin: Pin,
    /// The build of it: the sha256 of its RECORD.
    pub record_sha256: String,
    /// Where pip installs to.
    pub site: PathBuf,
    /// What helm is to come from; `None` leaves what is on the unit.
    pub helm: Option<String>,
    /// The chart, when one is given.
    pub chart: Option<ManagedFile>,
    /// `None` until there is one; then nothing is switched on.
    pub kubeconfig: Option<ManagedFile>,
    /// `99-capi.conf`.
    pub conf: ManagedFile,
    /// The command line of each service.
    pub command_lines: BTreeMap<Service, String>,
    /// The drop-in of each service, in the order of [`Service::ALL`].
    pub drop_ins: Vec<ManagedFile>,
    /// The guard's units, in the order of [`guard::UNITS`]; none when it is turned off.
    pub guard: Vec<ManagedFile>,
}

impl Desired {
    /// What `settings` mean on this `ground`.
    ///
    /// # Errors
    /// When the driver does not know one of the options, or what would be written is not ASCII.
    pub fn new(settings: &Settings, ground: &Ground, facts: &Facts) -> Result<Self, Problem> {
        let driver = &facts.driver;
        settings
            .capi_helm_options
            .known_to(&settings.driver.pin, &driver.options)?;
        let conf = conf(settings, ground, &chart_options(settings, facts)?);
        if let Some((line, column, c)) = first_non_ascii(&conf) {
            return Err(Problem::blocked(format!(
                "{CONF} would hold {c:?} in line {line}, column {column}, which is not ASCII; \
                 rename the Magnum driver or option it comes from"
            )));
        }
        let guard = match settings.guard {
            true => guard::files(&ground.charm, &watched(ground, facts)).to_vec(),
            false => Vec::new(),
        };
        let command_lines: BTreeMap<Service, String> = Service::ALL
            .into_iter()
            .map(|service| {
                let given = &ground.defaults[&service].arguments;
                (service, service.command_line(settings.log_to, given))
            })
            .collect();
        Ok(Self {
            guard,
            pin: settings.driver.pin.clone(),
            record_sha256: driver.record_sha256.clone(),
            site: ground.python.site.clone(),
            helm: facts.helm.clone(),
            chart: facts.chart.as_ref().map(|chart| ManagedFile {
                path: chart::PATH.into(),
                bytes: chart.bytes.clone(),
                access: Access::PUBLIC,
            }),
            kubeconfig: settings.kubeconfig.as_ref().map(|kubeconfig| ManagedFile {
                path: KUBECONFIG.into(),
                bytes: kubeconfig.bytes().to_vec(),
                access: Access {
                    uid: 0,
                    gid: ground.magnum_gid,
                    mode: 0o640,
                },
            }),
            conf: ManagedFile::public(CONF, conf),
            drop_ins: Service::ALL
                .map(|service| {
                    drop_in(
                        service,
                        &command_lines[&service],
                        &ground.defaults[&service],
                    )
                })
                .to_vec(),
            command_lines,
        })
    }
}

/// `99-capi.conf`. `enabled_drivers` is what the runbook writes; no release of Magnum reads it.
/// What has the effect is `disabled_drivers`, which is written even when it is empty, since an
/// earlier file may name our driver there.
fn conf(settings: &Settings, ground: &Ground, chart: &[(&str, &str)]) -> String {
    let mut text = format!("{HEADER}[DEFAULT]\nenabled_drivers = {ENTRY_POINT}\n");
    if settings.disable_other_drivers {
        let others = ground.other_drivers.join(",");
        text.push_str("\n[drivers]\n");
        text.push_str(format!("disabled_drivers = {others}").trim_end());
        text.push('\n');
    }
    text.push_str("\n[capi_helm]\n");
    let ours = [("kubeconfig_file", KUBECONFIG)]
        .into_iter()
        .chain(chart.iter().copied());
    for (key, value) in ours.chain(settings.capi_helm_options.iter()) {
        // oslo.config interpolates `$`; the operator's value is literal.
        let line = format!("{key} = {}", value.replace('$', "$$"));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The options that name the chart: a file on the unit, or a repository and a version.
fn chart_options<'a>(
    settings: &'a Settings,
    facts: &'a Facts,
) -> Result<Vec<(&'static str, &'a str)>, Problem> {
    let options: Vec<(&str, &str, &str)> = match &facts.chart {
        // With an empty repository the driver gives helm the name alone, which is a file's path.
        Some(given) => vec![
            ("resource helm-chart", "helm_chart_repo", ""),
            ("resource helm-chart", "helm_chart_name", chart::PATH),
            (
                "resource helm-chart",
                "default_helm_chart_version",
                &given.version,
            ),
        ],
        None => {
            let chart = &settings.chart;
            let repo = chart.repo.as_deref();
            let repo = repo.map(|repo| ("helm-chart-repo", "helm_chart_repo", repo));
            let version = chart
                .version
                .as_deref()
                .map(|version| ("helm-chart-version", "default_helm_chart_version", version));
            repo.into_iter().chain(version).collect()
        }
    };
    for (from, key, _) in &options {
        if settings
            .capi_helm_options
            .iter()
            .any(|(set, _)| set == *key)
        {
            return Err(Problem::blocked(format!(
                "capi-helm-options: {key} is set by {from} too; remove one of them"
            )));
        }
    }
    Ok(options
        .into_iter()
        .map(|(_, key, value)| (key, value))
        .collect())
}

/// What the guard watches: every file of the graft, and the directories from which Python could
/// load the driver or another copy of it. Only what is there: for a path that is not, systemd
/// watches its parent and begins all its watches anew at whatever happens there, and what happens
/// at the others meanwhile it does not see.
fn watched(ground: &Ground, facts: &Facts) -> Vec<PathBuf> {
    let python = &ground.python;
    let driver = facts.driver.directories.iter();
    let drop_ins = Service::ALL.map(|service| PathBuf::from(service.drop_in()));
    let helm = facts.helm.as_ref().map(|_| PathBuf::from(helm::PATH));
    let chart = facts.chart.as_ref().map(|_| PathBuf::from(chart::PATH));
    [PathBuf::from(KUBECONFIG), PathBuf::from(CONF)]
        .into_iter()
        .chain(drop_ins)
        .chain(helm)
        .chain(chart)
        .chain(ground.before_site.iter().cloned())
        .chain([python.site.clone()])
        .chain(driver.map(|directory| python.site.join(directory)))
        .collect()
}

/// The drop-in of a service. The empty `ExecStart=` clears the inherited one.
fn drop_in(service: Service, command_line: &str, defaults: &Defaults) -> ManagedFile {
    let umask = defaults.umask.as_ref();
    let umask = umask.map(|umask| format!("UMask={umask}\n"));
    ManagedFile::public(
        service.drop_in(),
        format!(
            "{HEADER}[Service]\nExecStart=\nExecStart={command_line}\n{}",
            umask.unwrap_or_default()
        ),
    )
}

/// The directories the files stand in that may not exist yet.
pub fn directories() -> impl Iterator<Item = PathBuf> {
    let fixed = [Path::new(CONF_DIRECTORY)]
        .into_iter()
        .chain(Path::new(chart::PATH).parent());
    fixed.map(Path::to_owned).chain(
        Service::ALL
            .into_iter()
            .filter_map(|service| Path::new(service.drop_in()).parent().map(Path::to_owned)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graft::plan::tests::{desired, facts, ground, settings};
    use std::time::SystemTime;

    fn text(file: &ManagedFile) -> &str {
        std::str::from_utf8(&file.bytes).unwrap()
    }

    #[test]
    fn the_conf_names_our_driver_and_disables_every_other() {
        let desired = desired(&settings("helm_chart_name = a$b"));
        assert_eq!(
            text(&desired.conf),
            format!(
                "{HEADER}[DEFAULT]\nenabled_drivers = k8s_capi_helm_v1\n\n[drivers]\n\
                 disabled_drivers = k8s_fedora_coreos_v1\n\n[capi_helm]\n\
                 kubeconfig_file = /etc/magnum/kubeconfig\nhelm_chart_name = a$$b\n"
            )
        );
    }

    #[test]
    fn other_drivers_stay_when_the_operator_says_so_and_an_empty_list_is_still_written() {
        let mut wanted = settings("");
        wanted.disable_other_drivers = false;
        let conf = desired(&wanted).conf;
        assert!(!text(&conf).contains("[drivers]"));
        let mut bare = ground();
        bare.other_drivers.clear();
        let conf = Desired::new(&settings(""), &bare, &facts()).unwrap().conf;
        assert!(text(&conf).contains("\ndisabled_drivers =\n"));
    }

    #[test]
    fn a_chart_that_is_given_is_named_by_its_path_and_may_not_be_set_twice() {
        let mut facts = facts();
        facts.chart = Some(chart::Chart {
            version: "0.10.1".into(),
            bytes: b"tgz".into(),
        });
        let conf = Desired::new(&settings(""), &ground(), &facts).unwrap().conf;
        assert!(text(&conf).ends_with(
            "helm_chart_repo =\nhelm_chart_name = /usr/local/share/magnum-capi-helm/chart.tgz\n\
             default_helm_chart_version = 0.10.1\n"
        ));
        let twice = settings("helm_chart_name = x");
        let message = Desired::new(&twice, &ground(), &facts)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("is set by resource helm-chart too"),
            "{message}"
        );
    }

    #[test]
    fn a_driver_name_that_is_not_ascii_is_refused_with_its_place() {
        let mut odd = ground();
        odd.other_drivers = vec!["heat\u{2013}v1".into()];
        let message = Desired::new(&settings(""), &odd, &facts())
            .unwrap_err()
            .to_string();
        assert!(message.contains("line 6, column 24"), "{message}");
    }

    #[test]
    fn the_drop_in_clears_the_inherited_command_line_first() {
        let desired = desired(&settings(""));
        assert_eq!(
            text(&desired.drop_ins[1]),
            format!(
                "{HEADER}[Service]\nExecStart=\nExecStart=/usr/bin/magnum-conductor \
                 --config-file=/etc/magnum/magnum.conf --config-dir=/etc/magnum/magnum.conf.d\n"
            )
        );
    }

    #[test]
    fn drift_is_named() {
        let wanted = ManagedFile::public("/x", "text".into());
        let found = |bytes: &str, mode| {
            Entry::File(crate::unit::files::File {
                bytes: bytes.into(),
                access: Access {
                    mode,
                    ..Access::PUBLIC
                },
                changed: SystemTime::now(),
                written: SystemTime::now(),
            })
        };
        assert_eq!(wanted.drift(&found("text", 0o644)), None);
        assert_eq!(
            wanted.drift(&found("texT", 0o644)).unwrap(),
            "other content"
        );
        assert!(
            wanted
                .drift(&found("text", 0o666))
                .unwrap()
                .contains("mode 0666")
        );
        assert_eq!(wanted.drift(&Entry::Absent).unwrap(), "missing");
        assert!(
            wanted
                .drift(&Entry::Directory)
                .unwrap()
                .contains("a directory")
        );
    }
}
