//! What containers are told of services. They are stored and shown here, and nothing routes to them; an address is whatever the row says.

use super::row::{Row, pages};

/// The example of Kubernetes' documentation.
const REDIS: &str =
    "{kind: Service, metadata: {name: redis-primary}, spec: {clusterIP: 10.0.0.11, ports: [{port: 6379}]}}";
/// What stands for the API in a cluster.
const KUBERNETES: &str = "{kind: Service, metadata: {name: kubernetes, namespace: default},
  spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 443, targetPort: 6443}]}}";

pub(crate) fn rows() -> Vec<Row> {
    let row = |name| Row::new(name, pages::SERVICE_VARIABLES);
    vec![
        row("the services of its namespace are variables of a container").object(REDIS).once("{args: [report, env]}").says(
            "{env: {REDIS_PRIMARY_SERVICE_HOST: 10.0.0.11, REDIS_PRIMARY_SERVICE_PORT: '6379',
              REDIS_PRIMARY_PORT: 'tcp://10.0.0.11:6379', REDIS_PRIMARY_PORT_6379_TCP: 'tcp://10.0.0.11:6379',
              REDIS_PRIMARY_PORT_6379_TCP_PROTO: tcp, REDIS_PRIMARY_PORT_6379_TCP_PORT: '6379',
              REDIS_PRIMARY_PORT_6379_TCP_ADDR: 10.0.0.11}}",
        ),
        row("every port of a service is a variable, by its name and by its number")
            .object(
                "{kind: Service, metadata: {name: dns}, spec: {clusterIP: 10.0.0.10, ports: [
                  {name: dns-tcp, port: 53}, {name: dns, port: 53, protocol: UDP}]}}",
            )
            .once("{args: [report, env]}")
            .says(
                "{env: {DNS_SERVICE_PORT: '53', DNS_SERVICE_PORT_DNS: '53', DNS_SERVICE_PORT_DNS_TCP: '53',
                  DNS_PORT_53_UDP: 'udp://10.0.0.10:53', DNS_PORT_53_UDP_PROTO: udp, DNS_PORT: 'tcp://10.0.0.10:53'}}",
            ),
        row("a headless service is no variable")
            .object("{kind: Service, metadata: {name: db}, spec: {clusterIP: None, ports: [{port: 5432}]}}")
            .object(REDIS)
            .once("{args: [report, 'env:DB_SERVICE_HOST', 'env:REDIS_PRIMARY_SERVICE_HOST']}")
            .says("{'env:DB_SERVICE_HOST': null, 'env:REDIS_PRIMARY_SERVICE_HOST': 10.0.0.11}"),
        Row::new("enableServiceLinks false: no variables of services", pages::SERVICE_LINKS)
            .object(REDIS)
            .once("{args: [report, 'env:REDIS_PRIMARY_SERVICE_HOST', 'env:REDIS_PRIMARY_PORT', argv]}")
            .with("{enableServiceLinks: false}")
            .says("{'env:REDIS_PRIMARY_SERVICE_HOST': null, 'env:REDIS_PRIMARY_PORT': null, argv: [report]}"),
        row("the container's own variables win over those of services, and may refer to them")
            .object(REDIS)
            .once(
                "{env: [{name: REDIS_PRIMARY_SERVICE_PORT, value: '1'}, {name: URL, value: 'redis://$(REDIS_PRIMARY_SERVICE_HOST)'}],
                  args: [report, 'env:REDIS_PRIMARY_SERVICE_PORT', 'env:URL', argv, $(REDIS_PRIMARY_SERVICE_HOST)]}",
            )
            .says("{'env:REDIS_PRIMARY_SERVICE_PORT': '1', 'env:URL': 'redis://10.0.0.11', argv: [10.0.0.11]}"),
        row("a service that is made after the pod is told at the next start of a container")
            .spec("{containers: [{name: main, args: [report, 'env:REDIS_PRIMARY_SERVICE_HOST']}]}")
            .says("{'env:REDIS_PRIMARY_SERVICE_HOST': null}")
            .apply(REDIS)
            .says("{'env:REDIS_PRIMARY_SERVICE_HOST': 10.0.0.11}")
            .shows("{containerStatuses: [{name: main, restartCount: '>=1'}]}"),
        Row::new("every container is told where the Kubernetes API is", pages::API_FROM_A_POD)
            .object(KUBERNETES)
            .once("{args: [report, env]}")
            .with("{enableServiceLinks: false}")
            .says(
                "{env: {KUBERNETES_SERVICE_HOST: 10.96.0.1, KUBERNETES_SERVICE_PORT: '443', KUBERNETES_SERVICE_PORT_HTTPS: '443',
                  KUBERNETES_PORT_443_TCP_ADDR: 10.96.0.1}}",
            ),
    ]
}
