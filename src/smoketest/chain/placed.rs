//! What Keystone, Magnum, the driver and helm really said on a unit of the lab, and the link each is placed on.

use super::super::stage::Stage::{
    ClusterCreate, ClusterDelete, ClusterWait, Leftovers, TemplateCreate, Token,
};
use super::{Link, place};

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

/// The driver's word for a helm that ended with this.
fn helm(said: &str) -> String {
    format!(
        "Unexpected error while running command.\nCommand: helm upgrade x openstack-cluster --history-max 10 \
         --install --output json --timeout 5m --values - --namespace magnum-1 --repo \
         https://azimuth-cloud.github.io/capi-helm-charts --version 0.4.0 --kubeconfig \
         /etc/magnum/kubeconfig\nExit code: 1\nStdout: ''\nStderr: '{said}\\n'"
    )
}

#[test]
fn each_word_of_helm_is_placed_on_its_link() {
    let denied = "Error: Kubernetes cluster unreachable: error loading config file \"/etc/magnum/kubeconfig\": \
                  open /etc/magnum/kubeconfig: permission denied";
    let refused = "Error: Kubernetes cluster unreachable: Get \"https://127.0.0.1:6443/version\": dial tcp \
                   127.0.0.1:6443: connect: connection refused";
    let nameless = "Error: Kubernetes cluster unreachable: Get \"https://no.such.host.invalid:6443/version\": dial \
                    tcp: lookup no.such.host.invalid on 10.255.255.53:53: no such host";
    let forbidden = "Error: query: failed to query with labels: secrets is forbidden: User \"magnum\" cannot list \
                     resource \"secrets\" in API group \"\" in the namespace \"m\"";
    let unknown_kind = "Error: unable to build kubernetes objects from release manifest: resource mapping not \
                        found for name: \"x\" namespace: \"\" from \"\": no matches for kind \"OpenStackCluster\" \
                        in version \"infrastructure.cluster.x-k8s.io/v1alpha7\"\\nensure CRDs are installed first";
    let no_repository = "Error: looks like \"http://127.0.0.1:9/charts\" is not a valid chart repository or cannot \
                         be reached: Get \"http://127.0.0.1:9/charts/index.yaml\": dial tcp 127.0.0.1:9: \
                         connect: connection refused";
    let no_version = "Error: chart \"openstack-cluster\" version \"9.9.9\" not found in http://127.0.0.1:8099 \
                      repository";
    // It has to do with the management cluster, not with the chart.
    let openapi = "Error: unable to build kubernetes objects from release manifest: error validating \"\": error \
                   validating data: failed to download openapi: the server could not find the requested resource";
    for (said, link) in [
        (denied, Link::Kubeconfig),
        (
            "Error: Kubernetes cluster unreachable: the server has asked for the client to provide credentials",
            Link::Kubeconfig,
        ),
        (refused, Link::ManagementApi),
        (nameless, Link::ManagementApi),
        (
            "Error: Kubernetes cluster unreachable: unknown",
            Link::ManagementApi,
        ),
        (forbidden, Link::ManagementPermissions),
        (unknown_kind, Link::Chart),
        (no_repository, Link::Chart),
        (no_version, Link::Chart),
        (
            "Error: chart \"nochart\" not found in http://127.0.0.1:8099 repository",
            Link::Chart,
        ),
        (
            "Error: failed to fetch http://127.0.0.1:8099/gone.tgz : 404 File not found",
            Link::Chart,
        ),
        (openapi, Link::Helm),
        (
            "Error: execution error at (c/templates/y.yaml:1:3): no machines",
            Link::Helm,
        ),
    ] {
        assert_eq!(place(ClusterWait, 0, &helm(said)), link, "{said}");
    }
}

#[test]
fn words_that_only_look_like_a_known_failure_do_not_count() {
    for said in [
        // Names that people give: of an image, a flavor, a cluster.
        "Quota Image Flavor is broken",
        "the chart \"x\" of quotas",
        "application credential",
        "connection failed",
        "/kubeconfig'",
    ] {
        assert_eq!(place(ClusterWait, 0, said), Link::ClusterApi, "{said}");
        assert_eq!(place(TemplateCreate, 500, said), Link::MagnumApi, "{said}");
    }
}

#[test]
fn a_service_that_is_away_is_not_taken_for_the_management_cluster() {
    // keystoneauth1 hands on what requests said, which names a pool of connections too.
    let away = "Unable to establish connection to https://localhost:8779/volume/v3/types?is_public=None: \
                HTTPSConnectionPool(host='localhost', port=8779): Max retries exceeded with url: \
                /volume/v3/types?is_public=None (Caused by NewConnectionError('<urllib3.connection.\
                HTTPSConnection object at 0x7f2f0566b110>: Failed to establish a new connection: [Errno 111] \
                Connection refused'))";
    assert_eq!(place(ClusterWait, 0, away), Link::Cloud);
    let pool = away.split_once(": ").unwrap().1;
    assert_eq!(place(ClusterWait, 0, pool), Link::ManagementApi);
    let missing = "public endpoint for volumev3 service in RegionOne region not found";
    assert_eq!(place(ClusterWait, 0, missing), Link::Cloud);
}
