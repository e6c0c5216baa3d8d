//! Kubeconfigs that lead to the stand-in, laid out as kubeadm does it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Credential, ManagementCluster, SERVER};

impl ManagementCluster {
    /// The administrator's: what an operator grants.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_for(self.admin())
    }

    /// One with a client certificate.
    #[must_use]
    pub fn kubeconfig_for(&self, credential: &Credential) -> String {
        self.with_user(&format!(
            "client-certificate-data: {}\n    client-key-data: {}",
            credential.certificate_data(),
            credential.key_data()
        ))
    }

    /// One with a bearer token, which only drivers from 1.3.0 on can use.
    #[must_use]
    pub fn kubeconfig_with_token(&self, token: &str) -> String {
        self.with_user(&format!("token: {token}"))
    }

    /// One whose user is this YAML.
    #[must_use]
    pub fn with_user(&self, user: &str) -> String {
        let authority = STANDARD.encode(self.ca_pem());
        format!(
            "apiVersion: v1\nclusters:\n- cluster:\n    \
             certificate-authority-data: {authority}\n    server: {SERVER}\n  name: management\n\
             contexts:\n- context:\n    cluster: management\n    user: admin\n  name: admin@management\n\
             current-context: admin@management\nkind: Config\npreferences: {{}}\n\
             users:\n- name: admin\n  user:\n    {user}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::management::ManagementCluster;

    #[test]
    fn a_kubeconfig_leads_to_the_cluster_with_its_user() {
        let cluster = ManagementCluster::for_tests();
        let text = cluster.kubeconfig();
        let parsed: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(parsed["current-context"], "admin@management");
        assert_eq!(parsed["contexts"][0]["name"], "admin@management");
        assert_eq!(parsed["clusters"][0]["cluster"]["server"], "https://198.51.100.1:6443");
        let user = &parsed["users"][0]["user"];
        assert_eq!(user["client-key-data"], cluster.admin().key_data());
        let text = cluster.kubeconfig_with_token("t.o.k");
        let parsed: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(parsed["users"][0]["user"]["token"], "t.o.k");
    }
}
