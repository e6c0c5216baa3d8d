//! What the tests ask of a unit, by their own means.

use std::sync::PoisonError;

use lab::{Diff, ManagementCluster, RESTLESS, Snapshot};

use super::Deployment;
use super::graft::{
    API, CONDUCTOR, CONF, CONF_DIRECTORY, DROP_INS, KUBECONFIG, SITE, STATE, VERSIONS, command_line, conf, dist_info,
    drop_in,
};
use super::moment::eventually;
use crate::support::management::leak;

/// Both services: main process and restarts by systemd, as systemd counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    pub api: (u32, u32),
    pub conductor: (u32, u32),
}

impl Deployment {
    /// The unit's status is `kind`, and it or the details in the log have all these words.
    #[track_caller]
    pub fn assert_status(&self, kind: &str, words: &[&str], case: &str) {
        let (found, said) = (self.unit.status().0, self.said());
        if found != kind {
            panic!("{case}: {found} instead of {kind}: {said}\n{}", self.why());
        }
        for word in words {
            assert!(said.contains(word), "{case}: no {word:?} in {said}");
        }
    }

    /// The status's message, which is short, and the details of its problems, which a hook has logged once.
    #[track_caller]
    pub fn said(&self) -> String {
        let mut said = self.unit.status().1;
        // A service's name stays as it is.
        let begins_well = said.starts_with(char::is_uppercase) || said.starts_with("magnum-");
        assert!(said.chars().count() <= 80 && begins_well, "{said:?}");
        let logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.shell(&format!("cat {STATE}/logged.json 2>/dev/null || echo []"));
        let details: Vec<String> = serde_json::from_str(&last).unwrap();
        for detail in details {
            assert!(logged.contains(&detail), "no hook has logged {detail:?}");
            said.push('\n');
            said.push_str(&detail);
        }
        said
    }

    /// What the services last said of themselves, for the message of a failed test.
    pub fn why(&self) -> String {
        self.shell(&format!(
            "journalctl --quiet --no-pager --output=short-precise -u {API} -u {CONDUCTOR} |
             grep -vP 'WARNING| INFO (?!magnum_capi_helm)' | tail -n 60"
        ))
    }

    pub fn services(&self) -> Services {
        let shown = self.shell(&format!("systemctl show --property=MainPID,NRestarts --value {API} {CONDUCTOR}"));
        let numbers: Vec<u32> = shown.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let [api, api_restarts, conductor, conductor_restarts] = numbers[..] else {
            panic!("systemctl show printed {shown:?}");
        };
        Services { api: (api, api_restarts), conductor: (conductor, conductor_restarts) }
    }

    /// Waits until both processes have read their configuration: on a busy machine, many seconds after their start. Then
    /// the API holds the socket it listens on, and the conductor its database.
    pub fn services_have_read(&self) {
        let script = format!(
            "for pid in $(systemctl show --property=MainPID --value {API} {CONDUCTOR}); do
                 [ $(ls /proc/$pid/fd | wc -l) -ge 8 ] || echo $pid
             done"
        );
        eventually("both have read their configuration", || self.shell(&script).is_empty());
    }

    /// The graft's files, and nothing that others write.
    pub fn graft(&self) -> Snapshot {
        let mut roots = vec![KUBECONFIG.to_owned(), CONF_DIRECTORY.to_owned()];
        roots.extend(DROP_INS.map(|path| path.trim_end_matches("/override.conf").to_owned()));
        roots.push(format!("{SITE}/magnum_capi_helm"));
        roots.extend(VERSIONS.map(dist_info));
        let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
        self.machine().snapshot(&roots, &[]).unwrap()
    }

    /// Everything a charm could change on the unit, but its own state.
    pub fn files(&self) -> Snapshot {
        let mut except = RESTLESS.to_vec();
        except.push(STATE);
        self.machine().snapshot(&["/etc", "/usr/local", "/var/lib"], &except).unwrap()
    }

    /// Temporary files that a hook left behind, anywhere.
    pub fn litter(&self) -> String {
        self.shell("find /etc /usr/local /var /root /run -xdev -name '*.magnum-capi-helm-*' -o -name '*.partial'")
    }

    /// The arguments of a service's main process.
    pub fn command_line(&self, service: &str) -> Vec<String> {
        let pid = self.machine().pid_of(service).unwrap();
        self.machine().cmdline(pid).unwrap()
    }

    /// Installed packages, of dpkg and of Python.
    pub fn packages(&self) -> String {
        self.shell(
            "dpkg-query --show; ls -d /usr/lib/python3/dist-packages/*-info /usr/local/lib/python3*/*/*-info 2>&1 || :",
        )
    }

    /// Every part of the graft, asked for by the test's own means: files byte for byte, both
    /// processes, the driver's version, no litter.
    #[track_caller]
    pub fn assert_whole(&self, version: &str, case: &str) {
        self.assert_status("active", &[&format!("Driver {version} grafted")], case);
        assert_eq!(self.unit.app_version(), version, "{case}: workload version");
        let group: u32 = self.shell("id -g magnum").trim().parse().unwrap();
        let mut files =
            vec![(KUBECONFIG, self.management.kubeconfig(), (0, group, 0o640)), (CONF, conf(""), (0, 0, 0o644))];
        for (path, service) in DROP_INS.into_iter().zip([API, CONDUCTOR]) {
            files.push((path, drop_in(service), (0, 0, 0o644)));
        }
        for (path, content, access) in files {
            let found = self.machine().read_text(path).unwrap();
            assert!(found == content, "{case}: {path} holds\n{found}");
            let meta = self.machine().metadata(path).unwrap().unwrap();
            let found = (meta.st_uid, meta.st_gid, meta.st_mode & 0o7777);
            assert_eq!(found, access, "{case}: owner and mode of {path}");
        }
        for service in [API, CONDUCTOR] {
            let words = self.command_line(service);
            assert_eq!(words.join(" "), format!("/usr/bin/python3 {}", command_line(service)), "{case}");
        }
        let installed = self.shell(&format!("cd {SITE}; ls -d magnum_capi_helm*"));
        let expected = format!("magnum_capi_helm\nmagnum_capi_helm-{version}.dist-info\n");
        assert_eq!(installed, expected, "{case}: installed drivers");
        assert_eq!(self.litter(), "", "{case}: litter");
    }

    /// The version of the driver, as Python sees it.
    pub fn installed_version(&self) -> String {
        // As pip does, which takes a second and a half to start.
        let program = "import importlib.metadata as m; print(m.version('magnum-capi-helm'))";
        let version = self.shell(&format!("python3 -c \"{program}\" 2>/dev/null || echo none"));
        version.trim().to_owned()
    }

    /// What Magnum itself makes of the conductor's own arguments, asked as user magnum.
    pub fn ask_magnum(&self) -> serde_json::Value {
        let mut command = vec!["sudo", "-u", "magnum", "/usr/bin/python3", "-c", include_str!("ask_magnum.py")];
        let words = self.command_line(CONDUCTOR);
        command.extend(words.iter().skip(2).map(String::as_str));
        let asked = self.machine().run(&command).unwrap();
        assert!(asked.ok(), "asking Magnum: {}", asked.stderr);
        let answer = asked.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(answer).unwrap()
    }
}

/// Nothing of a secret shows in `text`.
#[track_caller]
pub fn assert_silent(management: &ManagementCluster, text: &str, place: &str) {
    if let Some(what) = leak(management, text) {
        panic!("{place} holds {what}");
    }
}

/// The differences are these paths and no others.
#[track_caller]
pub fn assert_differs(diff: &Diff, paths: &[&str], case: &str) {
    assert_eq!(diff.paths(), paths, "{case}: {diff}");
}

#[track_caller]
pub fn assert_same(diff: &Diff, case: &str) {
    assert!(diff.is_empty(), "{case}: changed:\n{diff}");
}
