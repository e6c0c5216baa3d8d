//! The management cluster of the tests, its secrets, and the look for them in what the charm says.

use lab::{Behaviour, ClientCertificate, HookRun, Machine, ManagementCluster};

use crate::support::{Deployment, KUBECONFIG};

/// A password that the tests put into addresses.
pub const PASSWORD: &str = "hunter2-Xq7";
/// A bearer token, as long as a service account's. The cluster of the tests knows it.
pub const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6Ilg3In0.dGhpcy1pcy1hLXRlc3QtdG9rZW4.c2lnbmF0dXJl";

/// A cluster that answers its administrator and the bearer of [`TOKEN`].
pub fn start(machine: &Machine) -> ManagementCluster {
    let cluster = ManagementCluster::start(machine).unwrap();
    let account = "system:serviceaccount:magnum:capi";
    cluster.accept_token(machine, TOKEN, account, &["system:serviceaccounts"]).unwrap();
    cluster
}

impl Deployment {
    /// A kubeconfig with a client certificate of its own.
    pub fn kubeconfig_of(&self, wanted: &ClientCertificate) -> String {
        let made = self.management.credential(self.machine(), wanted).unwrap();
        self.management.kubeconfig_for(&made)
    }

    /// How the management cluster behaves from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.management.behave(self.machine(), behaviour).unwrap();
    }

    /// `juju update-secret` with this kubeconfig, and its hook.
    #[track_caller]
    pub fn rotate(&self, kubeconfig: &str) -> HookRun {
        self.update_secret(&[("kubeconfig", kubeconfig)]);
        self.hook("secret-changed")
    }

    /// This kubeconfig is in place, byte for byte, for nobody but root and user magnum.
    #[track_caller]
    pub fn assert_in_place(&self, kubeconfig: &str, case: &str) {
        let found = self.machine().read_text(KUBECONFIG).unwrap();
        assert!(found == kubeconfig, "{case}: another kubeconfig stands");
        let access = self.shell(&format!("stat -c '%U:%G %a' {KUBECONFIG}"));
        assert_eq!(access, "root:magnum 640\n", "{case}: owner and mode");
    }
}

/// The hook has logged all these words: the details for which the status has no room.
#[track_caller]
pub fn assert_logged(run: &HookRun, words: &[&str], case: &str) {
    let log = run.log_text();
    for word in words {
        assert!(log.contains(word), "{case}: no {word:?} in the log\n{log}");
    }
}

/// What of a secret shows in `text`, if anything does.
pub fn leak(management: &ManagementCluster, text: &str) -> Option<String> {
    for credential in management.issued() {
        // Any 48 consecutive characters hold a whole one of these pieces.
        let encoded = credential.key_data();
        let header = encoded.len().min(36) / 24;
        let encoded = pieces(&encoded).skip(header);
        // The lines between the first and the last, which say only what it is.
        let lines: Vec<&str> = credential.key_pem.lines().collect();
        let body = lines.get(1..lines.len() - 1).unwrap_or_default();
        let mut parts = encoded.chain(body.iter().flat_map(|line| pieces(line)));
        if parts.any(|part| text.contains(part)) {
            return Some("a part of a client key".into());
        }
    }
    let mut token = TOKEN.split('.');
    if token.any(|part| text.contains(part)) {
        return Some("the token".into());
    }
    text.contains(PASSWORD).then(|| "the password of an address".into())
}

/// Whole pieces of 24 characters.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    (24..=text.len()).step_by(24).filter_map(|end| text.get(end - 24..end))
}
