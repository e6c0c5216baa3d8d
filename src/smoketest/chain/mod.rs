//! The chain that a cluster hangs on, and which of its links a failure is about.
//!
//! The graft is one link; the next broken one looks like a broken graft. A failure is placed by where it
//! happened, by its HTTP status, and by what was said.

#[cfg(test)]
mod placed;
mod remedy;
mod texts;

use super::stage::Stage;

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
    /// A value that Magnum does not take.
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
    /// Cinder's volume types, and the driver's choice of one.
    VolumeTypes,
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
            Self::VolumeTypes => "volume-types",
            Self::Cloud => "cloud",
            Self::Helm => "helm",
            Self::Chart => "chart",
            Self::ClusterApi => "cluster-api",
        }
    }
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
        _ => {}
    }
    texts::known(text).unwrap_or(match (stage, status) {
        (_, 403) => Link::Policy,
        (Stage::ClusterWait, 404) => Link::Conductor,
        (Stage::ClusterWait | Stage::ClusterDelete, 0) => Link::ClusterApi,
        _ => Link::MagnumApi,
    })
}

/// Whether a reason names only the step that failed, and the cause stands in the conductor's log.
pub fn needs_a_cause(reason: &str) -> bool {
    reason.is_empty() || reason.contains(texts::TRUSTEE_OR_TRUST)
}
