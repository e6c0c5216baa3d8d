//! Faults of the kubeconfig, and of the management cluster it leads to.

use lab::{Behaviour, ClientCertificate, Mode, Rule};

use super::{Fault, Mend, Seed, fault};
use crate::support::{Deployment, KUBECONFIG};

pub fn of_the_file() -> Vec<Fault> {
    let unusable = &["kubeconfig-usable", "kubeconfig-file"];
    let with_key = |key: &str| format!("sed -i 's/client-key-data:.*/{key}/' {KUBECONFIG}");
    vec![
        fault(
            "the kubeconfig gone",
            format!("rm {KUBECONFIG}"),
            &["kubeconfig-file", "kubeconfig-readable"],
            &["missing"],
        ),
        fault(
            "the kubeconfig readable for root alone",
            format!("chmod 0600 {KUBECONFIG}"),
            &["kubeconfig-readable", "kubeconfig-file"],
            &["/etc/magnum/kubeconfig"],
        ),
        fault(
            "the kubeconfig readable for all",
            format!("chmod 0644 {KUBECONFIG}"),
            &["kubeconfig-file"],
            &["mode", "0644"],
        ),
        fault("the kubeconfig of user magnum", format!("chown magnum {KUBECONFIG}"), &["kubeconfig-file"], &["owner"]),
        fault("a token for a driver that knows none", with_key("token: x"), unusable, &["without its key"]),
        fault(
            "a key that is no base64",
            with_key("client-key-data: ????"),
            unusable,
            &["client-key-data that is not base64"],
        ),
        fault("a kubeconfig that is none", format!("echo 'a: [' >{KUBECONFIG}"), unusable, &["is not YAML"]),
        fault(
            "no current context",
            format!("sed -i /^current-context/d {KUBECONFIG}"),
            unusable,
            &["no current-context"],
        ),
        fault(
            "a tab, which kubectl reads",
            format!("sed -i '1s/$/\\t/' {KUBECONFIG}"),
            unusable,
            &["refused by the driver", "line 1"],
        ),
    ]
}

/// A fault of the management cluster, and not the graft's: it is mended there.
fn behaving(
    name: &'static str,
    found_by: &'static [&'static str],
    evidence: &'static [&'static str],
    remedy: &'static str,
    behaviour: Behaviour,
) -> Fault {
    let behave =
        |behaviour: Behaviour| move |it: &Deployment| it.management.behave(it.machine(), behaviour.clone()).unwrap();
    Fault {
        name,
        seed: Seed::Done(Box::new(behave(behaviour))),
        found_by,
        evidence,
        remedy,
        mend: Mend::Done(Box::new(behave(Behaviour::default()))),
    }
}

/// The granted kubeconfig is replaced by one of this client certificate.
fn granted(it: &Deployment, wanted: &ClientCertificate) {
    let credential = it.management.credential(it.machine(), wanted).unwrap();
    let kubeconfig = it.management.kubeconfig_for(&credential);
    it.update_secret(&[("kubeconfig", &kubeconfig)]);
    it.hook("secret-changed");
}

const CORE: &str = "cluster.x-k8s.io";
const OPENSTACK: &str = "infrastructure.cluster.x-k8s.io";

pub fn of_the_cluster() -> Vec<Fault> {
    let expiring = ClientCertificate { not_after: 12 * 24 * 60 * 60 + 60, ..ClientCertificate::default() };
    let bystander = Behaviour::default().allowing(vec![Rule::new(&[""], &["*"], &["*"])]);
    let mut without = Behaviour::default();
    without.groups.remove(OPENSTACK);
    vec![
        behaving(
            "it is silent",
            &["management-api"],
            &["not the graft, but", "no answer in time"],
            "let this machine reach the management cluster",
            Behaviour::of(Mode::Silent),
        ),
        behaving(
            "it closes at once",
            &["management-api"],
            &["not the graft, but"],
            "let this machine reach the management cluster",
            Behaviour::of(Mode::Closes),
        ),
        behaving(
            "a server certificate of another authority",
            &["management-api"],
            &["not the graft, but", "invalid peer certificate"],
            "with a certificate of the kubeconfig's certificate-authority",
            Behaviour::of(Mode::PresentsStrangersCertificate),
        ),
        behaving(
            "it is broken",
            &["management-api"],
            &["HTTP 500"],
            "let this machine reach the management cluster",
            Behaviour::of(Mode::AnswersWith(500)),
        ),
        behaving(
            "it knows us no more",
            &["management-identity"],
            &["HTTP 401"],
            "grant another kubeconfig",
            Behaviour::of(Mode::AnswersWith(401)),
        ),
        behaving(
            "we may not make clusters",
            &["management-permissions"],
            &["create clusters.cluster.x-k8s.io"],
            "bind that user to cluster-admin",
            bystander,
        ),
        behaving(
            "it has no Cluster API for OpenStack",
            &["management-capi"],
            &[OPENSTACK],
            "install Cluster API",
            without,
        ),
        behaving(
            "it serves nothing that the chart creates",
            &["management-capi"],
            &["chart 0.10.1 creates", "v1alpha7"],
            "set helm-chart-version",
            Behaviour::default().serving(OPENSTACK, &["v1beta1"]),
        ),
        behaving(
            "it serves nothing that the driver reads",
            &["management-capi"],
            &["driver 1.1.0 reads", "UNHEALTHY"],
            "set driver-pin",
            Behaviour::default().serving(OPENSTACK, &["v1alpha7", "v1beta1"]),
        ),
        behaving(
            "it serves a core of another age",
            &["management-capi"],
            &["cluster.x-k8s.io/v1beta1"],
            "install a provider that serves them",
            Behaviour::default().serving(CORE, &["v1beta2"]),
        ),
        Fault {
            name: "nobody listens",
            seed: Seed::Done(Box::new(|it| it.management.stop(it.machine()).unwrap())),
            found_by: &["management-api"],
            evidence: &["not the graft, but", "refused"],
            remedy: "let this machine reach the management cluster",
            mend: Mend::Done(Box::new(|it| it.management.serve(it.machine()).unwrap())),
        },
        Fault {
            name: "a client certificate that ends soon",
            seed: Seed::Done(Box::new(move |it| granted(it, &expiring))),
            found_by: &["kubeconfig-expiry"],
            evidence: &["12 days left", "client certificate"],
            remedy: "juju update-secret",
            mend: Mend::Done(Box::new(|it| granted(it, &ClientCertificate::default()))),
        },
    ]
}
