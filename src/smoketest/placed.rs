//! What Keystone, Magnum and the driver really say, and the link each is placed on.

use super::Stage::{ClusterCreate, ClusterDelete, ClusterWait, Leftovers, TemplateCreate, Token};
use super::chain::{Link, place};

#[test]
fn each_real_message_is_placed_on_its_link() {
    let trust =
        "Failed to create trustee or trust for Cluster: be4af8ac-6769-43f4-8fc4-bbcd232ba9fb\n";
    let refused_user = format!(
        "{trust}keystoneauth1.exceptions.http.Forbidden: You are not authorized to perform the requested \
         action: identity:create_user. (HTTP 403)\nmagnum.common.exception.TrusteeCreateFailed: Failed to \
         create trustee be4af8ac_249dd82c in domain 5538241488274ce8a6147e6aae72d577"
    );
    let refused_trust = format!(
        "{trust}keystoneauth1.exceptions.http.Forbidden: You are not authorized to perform the requested \
         action: identity:create_trust. (HTTP 403)\nmagnum.common.exception.TrustCreateFailed: Failed to \
         create trust for trustee ec43287cd3c84a8b93b1bf6072abab87."
    );
    let unreachable = "Unexpected error while running command.\nCommand: helm uninstall x --timeout 5m \
                       --namespace magnum-1 --kubeconfig /etc/magnum/kubeconfig\nExit code: 1\nStdout: ''\n\
                       Stderr: 'Error: Kubernetes cluster unreachable: stat /etc/magnum/kubeconfig: no such \
                       file or directory\\n'";
    let no_chart = "Unexpected error while running command.\nCommand: helm upgrade x \
                    /usr/local/share/magnum-capi-helm/chart.tgz --history-max 10 --install --output json \
                    --timeout 5m --values - --namespace magnum-1 --version 0.4.0 --kubeconfig \
                    /etc/magnum/kubeconfig\nExit code: 1\nStdout: ''\nStderr: 'Error: path \
                    \"/usr/local/share/magnum-capi-helm/chart.tgz\" not found\\n'";
    let asked = "The request you have made requires authentication.";
    for (stage, status, message, link) in [
        (Token, 401, asked, Link::Credentials),
        (Leftovers, 401, asked, Link::MagnumApi),
        (
            Leftovers,
            403,
            "reason: Keystone client authentication failed",
            Link::TrusteeDomain,
        ),
        (
            TemplateCreate,
            400,
            "Cluster type (vm, Unset, kubernetes) not supported.",
            Link::Image,
        ),
        (
            TemplateCreate,
            400,
            "Cluster type (vm, None, kubernetes) not supported.",
            Link::Image,
        ),
        (
            TemplateCreate,
            400,
            "Cluster type (vm, ubuntu, kubernetes) not supported.",
            Link::Driver,
        ),
        (
            TemplateCreate,
            400,
            "Unable to find external network private.",
            Link::Network,
        ),
        (
            TemplateCreate,
            400,
            "Unable to find flavor nofl.",
            Link::Flavor,
        ),
        (
            TemplateCreate,
            400,
            "Network driver type bogus is not supported, expecting a flannel/calico/cilium/unspecified \
             network driver.",
            Link::Template,
        ),
        (
            TemplateCreate,
            409,
            "Multiple external networks exist with same name 'ext_net'. Please use the external network ID \
             instead.",
            Link::Network,
        ),
        (
            TemplateCreate,
            403,
            "Policy doesn't allow clustertemplate:create to be performed.",
            Link::Policy,
        ),
        (
            TemplateCreate,
            500,
            "Remote error: OperationalError (sqlite3.OperationalError) database is locked",
            Link::MagnumApi,
        ),
        (
            ClusterCreate,
            404,
            "Unable to find keypair nokey.",
            Link::Keypair,
        ),
        (
            ClusterCreate,
            403,
            "Resource limit exceeded: You have reached the maximum clusters per project, 0. You may delete a \
             cluster to make room for a new one.",
            Link::Quota,
        ),
        (ClusterWait, 0, trust, Link::TrusteeDomain),
        (ClusterWait, 0, &refused_user, Link::TrusteeUser),
        (ClusterWait, 0, &refused_trust, Link::Trust),
        (
            ClusterWait,
            0,
            "Failed to create certificates for Cluster: d543f4da-dd94-442d-afc1-2c4909aedce6",
            Link::Certificates,
        ),
        (
            ClusterWait,
            0,
            "You are not authorized to perform the requested action: identity:create_application_credential. \
             (HTTP 403) (Request-ID: req-8d08120f-ce94-45f9-b951-931a105dd52b)",
            Link::ApplicationCredential,
        ),
        (
            ClusterWait,
            0,
            "[Errno 2] No such file or directory: '/etc/magnum/kubeconfig'",
            Link::Kubeconfig,
        ),
        (
            ClusterWait,
            0,
            "[Errno 2] No such file or directory: 'helm'",
            Link::Helm,
        ),
        (ClusterDelete, 0, unreachable, Link::Kubeconfig),
        (ClusterWait, 0, no_chart, Link::Chart),
        (
            ClusterWait,
            0,
            "Service Unavailable (HTTP 503)",
            Link::Cloud,
        ),
        (
            ClusterWait,
            0,
            "Image 33333333-3333-4333-8333-333333333333 does not have a kube_version property.",
            Link::Image,
        ),
        (
            ClusterWait,
            0,
            "Flavor tiny does not have enough RAM to run Kubernetes. Minimum 2048 MB required.",
            Link::Flavor,
        ),
        (ClusterWait, 0, "", Link::ClusterApi),
    ] {
        assert_eq!(place(stage, status, message), link, "{message}");
    }
}
