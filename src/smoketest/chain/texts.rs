//! What Magnum, Keystone, the driver, helm and the management cluster say, and the link each means.
//!
//! Each text is theirs, word for word; `*` stands for what differs. Beside it is where it comes from: a file
//! of Magnum 18.0.0 or the driver, or `seen` when it was met on a unit of the lab. The tests have them whole.

use super::Link;

/// The conductor's own word for two steps: its log tells which, and why.
pub const TRUSTEE_OR_TRUST: &str = "Failed to create trustee or trust for Cluster: ";

/// The first that is found counts, so what says more stands before what says less.
const TEXTS: &[(&str, Link)] = &[
    // Trustee and trust, in the conductor's log: seen; magnum/common/keystone.py.
    (
        "reason: Keystone client authentication failed",
        Link::TrusteeDomain,
    ),
    (
        "magnum.common.exception.TrusteeCreateFailed: ",
        Link::TrusteeUser,
    ),
    ("magnum.common.exception.TrustCreateFailed: ", Link::Trust),
    (TRUSTEE_OR_TRUST, Link::TrusteeDomain),
    // Certificates: seen; magnum/conductor/handlers/common/cert_manager.py.
    (
        "Failed to create certificates for Cluster: ",
        Link::Certificates,
    ),
    ("endpoint for key-manager service", Link::Certificates),
    // What the API asks of other services before it accepts: seen; magnum/api/attr_validator.py, api/utils.py.
    ("Cluster type (vm, Unset, ", Link::Image),
    ("Cluster type (vm, None, ", Link::Image),
    ("Cluster type (*) not supported.", Link::Driver),
    ("Image * could not be found.", Link::Image),
    ("The images resource * could not be found.", Link::Image),
    ("Multiple images exist with same name ", Link::Image),
    ("Not authorized for image ", Link::Image),
    ("Image * doesn't contain os_distro field.", Link::Image),
    ("Unable to find flavor ", Link::Flavor),
    ("Unable to find keypair ", Link::Keypair),
    ("Unable to find external network ", Link::Network),
    (
        "Multiple external networks exist with same name ",
        Link::Network,
    ),
    ("Policy doesn't allow * to be performed.", Link::Policy),
    // Seen; magnum/api/validation.py, wsme/exc.py.
    ("Network driver type * network driver.", Link::Template),
    ("Invalid input for field/attribute ", Link::Template),
    // magnum/common/exception.py; stevedore, tried with a driver that is not there.
    ("Cluster driver (*) not supported.", Link::Driver),
    (
        "No 'magnum.drivers' driver found, looking for ",
        Link::Driver,
    ),
    // Seen; magnum/api/controllers/v1/cluster.py.
    (
        "You have reached the maximum clusters per project, ",
        Link::Quota,
    ),
    // oslo.messaging: seen.
    (
        "Timed out waiting for a reply to message ID ",
        Link::Conductor,
    ),
    // The driver: seen; magnum_capi_helm/driver.py.
    ("[Errno *: '/etc/magnum/kubeconfig'", Link::Kubeconfig),
    ("[Errno *: 'helm'", Link::Helm),
    (
        "Image * does not have a kube_version property.",
        Link::Image,
    ),
    ("Image * does not have an os_distro property.", Link::Image),
    (
        "Flavor * does not have enough * to run Kubernetes.",
        Link::Flavor,
    ),
    (" is not a valid Cinder volume type.", Link::VolumeTypes),
    // magnum_capi_helm/kubernetes.py from 1.3.0 on.
    (
        "No supported authentication method found in kubeconfig",
        Link::Kubeconfig,
    ),
    // Keystone, of what the driver asks: seen.
    (
        "identity:create_application_credential",
        Link::ApplicationCredential,
    ),
    // helm 3.17.3, each of them seen. What it says of the management cluster is not about helm.
    (
        "Kubernetes cluster unreachable: *kubeconfig: no such file",
        Link::Kubeconfig,
    ),
    (
        "Kubernetes cluster unreachable: *kubeconfig: permission denied",
        Link::Kubeconfig,
    ),
    (
        "unreachable: the server has asked for the client to provide credentials",
        Link::Kubeconfig,
    ),
    ("Kubernetes cluster unreachable: ", Link::ManagementApi),
    (
        " is forbidden: User * cannot * resource ",
        Link::ManagementPermissions,
    ),
    ("no matches for kind * in version ", Link::Chart),
    (
        "looks like * is not a valid chart repository or cannot be reached",
        Link::Chart,
    ),
    ("Error: failed to fetch ", Link::Chart),
    ("Error: chart * not found in * repository", Link::Chart),
    ("Error: path * not found", Link::Chart),
    // The management cluster's own rules, handed on by helm: k8s.io/apiserver, statuserror.go.
    ("admission webhook * denied the request", Link::ClusterApi),
    ("Command: helm ", Link::Helm),
    // The clients of OpenStack's services: seen; keystoneauth1/session.py and access/service_catalog.py,
    // glanceclient/common/http.py, neutronclient/common/exceptions.py, magnum/common/exception.py.
    ("Unable to establish connection to ", Link::Cloud),
    ("SSL exception connecting to ", Link::Cloud),
    ("Error finding address for ", Link::Cloud),
    ("Error communicating with ", Link::Cloud),
    ("Connection to neutron failed: ", Link::Cloud),
    ("endpoint for * service * not found", Link::Cloud),
    ("unexpected keystone client error occurred: ", Link::Cloud),
    // How requests, which only the driver's client of the management cluster uses by itself, ends: seen.
    (
        "403 Client Error: Forbidden for url: ",
        Link::ManagementPermissions,
    ),
    ("401 Client Error: Unauthorized for url: ", Link::Kubeconfig),
    (" Server Error: * for url: ", Link::ManagementApi),
    ("HTTPSConnectionPool(host=", Link::ManagementApi),
    // How keystoneauth ends whatever a service answered: seen.
    (" (HTTP ", Link::Cloud),
];

/// The link of the first known text that stands in `said`.
pub fn known(said: &str) -> Option<Link> {
    let told = TEXTS.iter().find(|(text, _)| stands_in(text, said));
    told.map(|(_, link)| *link)
}

/// Whether the parts of `text` stand in one line of `said`, in their order.
fn stands_in(text: &str, said: &str) -> bool {
    said.lines().any(|line| {
        let mut rest = line;
        text.split('*').all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_text_stand_in_one_line_and_in_their_order() {
        assert!(stands_in("a * c", "x\na b c d"));
        assert!(!stands_in("a * c", "a b\nb c"));
        assert!(!stands_in("a * c", " c a "));
        assert!(stands_in("a", "bab"));
    }

    #[test]
    fn no_text_is_hidden_by_one_before_it() {
        for (index, (text, link)) in TEXTS.iter().enumerate() {
            let said = text.replace('*', "x");
            let first = TEXTS.iter().position(|(text, _)| stands_in(text, &said));
            let first = first.unwrap();
            assert!(first == index || TEXTS[first].1 == *link, "{text}");
        }
    }
}
