//! What Keystone, Magnum and the driver really say, and the link each is placed on.

use super::Stage::{ClusterCreate, ClusterWait, TemplateCreate, Token};
use super::chain::{Link, place};

#[test]
fn each_real_message_is_placed_on_its_link() {
    for (stage, status, message, link) in [
        (
            Token,
            401,
            "The request you have made requires authentication.",
            Link::Credentials,
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
            401,
            "The request you have made requires authentication.",
            Link::MagnumApi,
        ),
        (
            TemplateCreate,
            403,
            "Policy doesn't allow clustertemplate:create to be performed.",
            Link::Policy,
        ),
        (
            ClusterCreate,
            404,
            "Unable to find keypair nokey.",
            Link::Keypair,
        ),
        (
            ClusterWait,
            0,
            "[Errno 2] No such file or directory: '/etc/magnum/kubeconfig'",
            Link::Kubeconfig,
        ),
    ] {
        assert_eq!(place(stage, status, message), link, "{message}");
    }
}
