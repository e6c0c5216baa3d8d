//! What to do about each link.

use super::Link;

impl Link {
    /// What to do when it is broken.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Keystone => {
                "see that Keystone answers at the address in the report from this unit: juju status \
                 keystone; when its certificate is not trusted, put its authority into the secret as cacert"
            }
            Self::Credentials => {
                "give an account that Keystone knows, with a role in its project, by the parameter \
                 credentials; or, for Magnum's own, let its charm render it anew: juju status magnum keystone"
            }
            Self::Catalogue => {
                "openstack endpoint list --service container-infra must name the endpoint and region that \
                 are asked for: juju relate magnum keystone, or give another endpoint or region"
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
            Self::VolumeTypes => {
                "openstack volume type list, as the account in the report: what \
                 csi_cinder_default_volume_type in capi-helm-options names must be one of them"
            }
            Self::Cloud => {
                "the message names the service: it must be in the catalogue, in the region and with the \
                 endpoint that magnum.conf names for it, and answer"
            }
            Self::Helm => {
                "run the action verify: helm must be there, for user magnum too; the message has what it says"
            }
            Self::Chart => {
                "let the units reach the chart's repository, or give the chart as the resource \
                 helm-chart; see helm-chart-version for one that fits the management cluster"
            }
            Self::ClusterApi => {
                "ask the management cluster: kubectl get clusters,machines,openstackclusters,helmreleases \
                 -A, and the logs of its controllers (capi, capo, addon-provider)"
            }
        }
    }
}
