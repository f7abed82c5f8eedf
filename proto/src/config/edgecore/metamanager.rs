//! `modules.metaManager`

use crate::config::check::{Check, Validate};
use crate::config::section::section;

section! {
    /// The local store and the API over it.
    pub struct MetaManager {
        /// On or off.
        enable: bool = true,
        /// Accepted and without effect: who sends to the cloud is wired, not configured.
        context_send_group: String = "hub".to_owned(),
        /// Accepted and without effect.
        context_send_module: String = "websocket".to_owned(),
        /// The cloud must answer within this many seconds.
        remote_query_timeout: i32 = 60,
        /// The Kubernetes API at the edge.
        meta_server: MetaServer = MetaServer::default(),
    }
}

section! {
    /// The Kubernetes API at the edge.
    pub struct MetaServer {
        /// On or off.
        enable: bool = false,
        /// Where it listens.
        server: String = "127.0.0.1:10550".to_owned(),
        /// Where it listens for pods.
        dummy_server: String = "169.254.30.10:10550".to_owned(),
        /// CA of its clients.
        tls_ca_file: String = "/etc/kubeedge/ca/rootCA.crt".to_owned(),
        /// Server certificate.
        tls_cert_file: String = "/etc/kubeedge/certs/server.crt".to_owned(),
        /// Its key.
        tls_private_key_file: String = "/etc/kubeedge/certs/server.key".to_owned(),
        /// Issuers of service account tokens that are believed.
        service_account_issuers: Vec<String> = vec!["https://kubernetes.default.svc.cluster.local".to_owned()],
        /// Audiences that such a token may be for; none: those of the issuer.
        api_audiences: Option<Vec<String>> = None,
        /// Public keys of the issuers.
        service_account_key_files: Option<Vec<String>> = None,
    }
}

impl Validate for MetaManager {
    fn validate(&self, check: &mut Check) {
        check.positive("remoteQueryTimeout", self.remote_query_timeout);
        check.section("metaServer", &self.meta_server);
    }
}

impl Validate for MetaServer {
    fn validate(&self, check: &mut Check) {
        if self.enable {
            check.socket_address("server", &self.server);
            check.socket_address("dummyServer", &self.dummy_server);
        }
    }
}
