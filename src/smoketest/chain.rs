//! The chain that a cluster hangs on, and which of its links a failure is about.
//!
//! The graft is one link; the next broken one looks like a broken graft. What Keystone, Magnum and the
//! driver say of each is known from them: the table in the tests has it word for word.

use super::Stage;

/// A link of the chain, in the order in which a cluster's creation meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Keystone itself.
    Keystone,
    /// The account that asks.
    Credentials,
    /// The service catalogue.
    Catalogue,
    /// Magnum's API.
    MagnumApi,
    /// What the account may do.
    Policy,
    /// The image.
    Image,
    /// A flavor.
    Flavor,
    /// The keypair.
    Keypair,
    /// The external network.
    Network,
    /// A network driver or label that Magnum does not take.
    Template,
    /// The driver is not enabled.
    Driver,
    /// What the project may have.
    Quota,
    /// RabbitMQ and the conductor.
    Conductor,
    /// The trustee domain and its administrator.
    TrusteeDomain,
    /// The account that is made for each cluster.
    TrusteeUser,
    /// The trust that is given to it.
    Trust,
    /// Where each cluster's certificates are put.
    Certificates,
    /// The kubeconfig.
    Kubeconfig,
    /// The management cluster's API.
    ManagementApi,
    /// What the kubeconfig's user may do there.
    ManagementPermissions,
    /// The application credential for the cluster's own use.
    ApplicationCredential,
    /// Another service of the cloud.
    Cloud,
    /// helm itself.
    Helm,
    /// The chart and its repository.
    Chart,
    /// The controllers of Cluster API.
    ClusterApi,
}

impl Link {
    /// Its name in the results.
    pub fn id(self) -> &'static str {
        match self {
            Self::Keystone => "keystone",
            Self::Credentials => "credentials",
            Self::Catalogue => "catalogue",
            Self::MagnumApi => "magnum-api",
            Self::Policy => "policy",
            Self::Image => "image",
            Self::Flavor => "flavor",
            Self::Keypair => "keypair",
            Self::Network => "external-network",
            Self::Template => "template",
            Self::Driver => "driver",
            Self::Quota => "quota",
            Self::Conductor => "conductor",
            Self::TrusteeDomain => "trustee-domain",
            Self::TrusteeUser => "trustee-user",
            Self::Trust => "trust",
            Self::Certificates => "certificates",
            Self::Kubeconfig => "kubeconfig",
            Self::ManagementApi => "management-api",
            Self::ManagementPermissions => "management-permissions",
            Self::ApplicationCredential => "application-credential",
            Self::Cloud => "cloud",
            Self::Helm => "helm",
            Self::Chart => "chart",
            Self::ClusterApi => "cluster-api",
        }
    }

    /// What to do when it is broken.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Keystone => {
                "see that Keystone answers at the address in the report from this unit: juju status keystone"
            }
            Self::Credentials => {
                "give an account that Keystone knows, with a role in its project, by the parameter \
                 credentials; or, for Magnum's own, let its charm render it anew: juju status magnum keystone"
            }
            Self::Catalogue => {
                "openstack endpoint list --service container-infra must name the endpoint and region that \
                 are asked for: juju relate magnum keystone, or give endpoint=internal"
            }
            Self::MagnumApi => {
                "run the action verify, and read what magnum-api says: journalctl -u magnum-api; a refused \
                 token means that [keystone_authtoken] of magnum.conf is wrong"
            }
            Self::Policy => {
                "give the account a role that Magnum's policy asks for (openstack role add --project \
                 PROJECT --user USER member), or mend the policy"
            }
            Self::Image => {
                "openstack image show IMAGE, as the account in the report: it must exist, with the \
                 properties os_distro=ubuntu and kube_version=vX.Y.Z (openstack image set --property); \
                 Magnum says the same when Glance does not answer"
            }
            Self::Flavor => {
                "openstack flavor list, as the account in the report: give flavors that are there, with at \
                 least 2 vCPUs and 2048 MB"
            }
            Self::Keypair => {
                "openstack keypair list, as the account in the report: keypairs belong to a user; make one \
                 for it, or give that user's credentials"
            }
            Self::Network => {
                "openstack network list --external, as the account in the report: give one of these by \
                 external-network, by its id if the name is not unique"
            }
            Self::Template => "give what Magnum takes: the message names the value and the choices",
            Self::Driver => {
                "Magnum's services do not have the driver for this image: run the action verify, and \
                 see that the image's os_distro is ubuntu or flatcar"
            }
            Self::Quota => {
                "delete what is not needed in the project, or raise its quota: openstack coe quotas update, \
                 openstack quota set"
            }
            Self::Conductor => {
                "run the action verify; see that RabbitMQ answers (juju status rabbitmq-server) and that \
                 magnum-conductor runs on every unit: journalctl -u magnum-conductor"
            }
            Self::TrusteeDomain => {
                "juju run magnum/leader domain-setup, once for the application; it makes the trustee \
                 domain and its administrator, and fills in [trust]"
            }
            Self::TrusteeUser => {
                "Keystone refuses the trustee domain's administrator to make users: mend \
                 identity:create_user in its policy, and give the administrator the role Admin on the domain"
            }
            Self::Trust => {
                "Keystone refuses the trust: mend identity:create_trust in its policy, and use an account \
                 with a password (an application credential can make no trust)"
            }
            Self::Certificates => {
                "see that Barbican and what backs it answer (openstack secret list), or set \
                 cert-manager-type of magnum to x509keypair"
            }
            Self::Kubeconfig => {
                "run the action verify: it judges the kubeconfig and says what is wrong"
            }
            Self::ManagementApi => {
                "let the units of magnum reach the management cluster's API (route, firewall, security \
                 group; port 6443), then run the action verify"
            }
            Self::ManagementPermissions => {
                "give the kubeconfig's user the rights that the action verify names under \
                 management-permissions"
            }
            Self::ApplicationCredential => {
                "the driver makes an application credential as the account in the report: use one with a \
                 password, and let Keystone's policy allow identity:create_application_credential"
            }
            Self::Cloud => {
                "the message names the service: it must be in the catalogue, in the region and with the \
                 endpoint that magnum.conf names for it, and answer"
            }
            Self::Helm => {
                "run the action verify: helm must be there, for user magnum too; the message has what it says"
            }
            Self::Chart => {
                "let the units reach the chart's repository, or give the chart: juju attach-resource \
                 helm-chart=FILE; see helm-chart-version for one that fits the management cluster"
            }
            Self::ClusterApi => {
                "ask the management cluster: kubectl get clusters,machines,openstackclusters,helmreleases \
                 -A, and the logs of its controllers (capi, capo, addon-provider)"
            }
        }
    }
}

/// Words of the conductor's log that tell which part of "trustee or trust" failed.
const TRUSTEE_OR_TRUST: &str = "Failed to create trustee or trust for Cluster";

/// Texts of failed clusters and refused requests, and the link each means: the first that is found counts.
/// Those of the conductor's log come first, since its `status_reason` says less.
const TEXTS: [(&str, Link); 53] = [
    // Trustee and trust: keystone.py of Magnum logs which, and why.
    (
        "reason: Keystone client authentication failed",
        Link::TrusteeDomain,
    ),
    ("Failed to create trustee:", Link::TrusteeUser),
    ("TrusteeCreateFailed", Link::TrusteeUser),
    ("Failed to create trust:", Link::Trust),
    ("TrustCreateFailed", Link::Trust),
    ("Expecting to find domain in user", Link::TrusteeDomain),
    (TRUSTEE_OR_TRUST, Link::TrusteeDomain),
    // Certificates.
    (
        "Failed to create certificates for Cluster",
        Link::Certificates,
    ),
    ("public endpoint for key-manager", Link::Certificates),
    // What the API checks.
    ("Cluster type (vm, Unset, ", Link::Image),
    ("Cluster type (vm, None, ", Link::Image),
    ("Cluster type (", Link::Driver),
    ("Image type ", Link::Image),
    ("Unable to find image", Link::Image),
    ("Unable to get image", Link::Image),
    ("Multiple images exist", Link::Image),
    ("Image ", Link::Image),
    ("images could not be found", Link::Image),
    ("Unable to find flavor", Link::Flavor),
    ("Flavor ", Link::Flavor),
    ("Unable to find keypair", Link::Keypair),
    ("Unable to find external network", Link::Network),
    ("Multiple external networks", Link::Network),
    ("Network driver type", Link::Template),
    ("Volume driver type", Link::Template),
    ("master_count must be 1", Link::Template),
    ("Invalid input for field/attribute", Link::Template),
    ("Cluster driver", Link::Driver),
    ("No 'magnum.drivers' driver found", Link::Driver),
    // Quotas, of Magnum and of what it asks.
    ("You have reached the maximum clusters", Link::Quota),
    ("quota", Link::Quota),
    ("Quota", Link::Quota),
    // RabbitMQ.
    ("Timed out waiting for a reply", Link::Conductor),
    ("MessagingTimeout", Link::Conductor),
    ("AMQP server", Link::Conductor),
    // helm, as the driver runs it; what it says of the management cluster is not about helm.
    ("No such file or directory: 'helm'", Link::Helm),
    ("kubeconfig: no such file or directory", Link::Kubeconfig),
    ("kubeconfig: permission denied", Link::Kubeconfig),
    ("Kubernetes cluster unreachable", Link::ManagementApi),
    (" is forbidden: User ", Link::ManagementPermissions),
    ("no matches for kind", Link::Chart),
    ("looks like \"http", Link::Chart),
    ("failed to fetch", Link::Chart),
    ("failed to download", Link::Chart),
    ("chart \"", Link::Chart),
    ("Error: path \"", Link::Chart),
    ("Command: helm", Link::Helm),
    // The driver itself.
    ("/kubeconfig'", Link::Kubeconfig),
    ("403 Client Error: Forbidden", Link::ManagementPermissions),
    ("401 Client Error: Unauthorized", Link::Kubeconfig),
    ("HTTPSConnectionPool", Link::ManagementApi),
    (
        "identity:create_application_credential",
        Link::ApplicationCredential,
    ),
    ("application credential", Link::ApplicationCredential),
];

/// Whether a reason names only the step that failed.
pub fn needs_a_cause(reason: &str) -> bool {
    reason.contains(TRUSTEE_OR_TRUST)
}

/// The link that a failure is about: where it happened, the HTTP status (0 for no answer, or a failed
/// cluster), and everything that was said: message, `status_reason`, the conductor's log.
pub fn place(stage: Stage, status: u16, text: &str) -> Link {
    match (stage, status) {
        (Stage::Token, 401 | 403) => return Link::Credentials,
        (Stage::Token, _) => return Link::Keystone,
        (Stage::Catalogue, _) => return Link::Catalogue,
        // Keystone has just given the token: it is Magnum that cannot have it checked.
        (_, 401) => return Link::MagnumApi,
        (_, 403) if text.contains("Policy doesn't allow") => return Link::Policy,
        _ => {}
    }
    let told = TEXTS.iter().find(|(words, _)| text.contains(words));
    if let Some((_, link)) = told {
        return *link;
    }
    // The clients of OpenStack's services end so, and the driver's own of the management cluster does not.
    if text.contains("(HTTP ")
        || text.contains("endpoint for ")
        || text.contains("Cinder")
        || text.contains("connection failed")
    {
        return Link::Cloud;
    }
    match (stage, status) {
        (_, 403) => Link::Policy,
        (Stage::ClusterWait, 404) => Link::Conductor,
        (Stage::ClusterWait | Stage::ClusterDelete, 0) => Link::ClusterApi,
        _ => Link::MagnumApi,
    }
}
