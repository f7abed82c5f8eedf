//! Names, name resolution, ports.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use super::row::{Row, Scene, pages};

pub(crate) fn rows() -> Vec<Row> {
    [names(), resolution(), ports()].concat()
}

fn names() -> Vec<Row> {
    let row = |name, page, with: &str| {
        Row::new(name, page).once("{args: [report, hostname, 'file:/etc/hosts', 'env:HOSTNAME']}").with(with)
    };
    vec![
        row("a pod's host name is its name", pages::HOSTNAME, "{}").says("{hostname: pod, 'env:HOSTNAME': pod}"),
        row("a pod may have another host name", pages::HOSTNAME, "{hostname: shop}")
            .says("{hostname: shop, 'file:/etc/hosts': {text: \"~\\tshop\\n\"}}"),
        row("with a subdomain its full name is in the hosts file", pages::HOSTNAME, "{hostname: shop, subdomain: market}")
            .says("{hostname: shop, 'file:/etc/hosts': {text: \"~\\tshop.market.@namespace.svc.cluster.local\\tshop\\n\"}}"),
        row(
            "setHostnameAsFQDN",
            pages::HOSTNAME,
            "{hostname: shop, subdomain: market, setHostnameAsFQDN: true}",
        )
        .says("{hostname: shop.market.@namespace.svc.cluster.local}"),
        Row::new("setHostnameAsFQDN with a name that no kernel takes", pages::HOSTNAME)
            .spec(
                "{hostname: abcdefghijabcdefghij, subdomain: market, setHostnameAsFQDN: true, containers: [{name: main, args: [pause]}]}",
            )
            .event("FailedCreatePodSandBox", "is too long (64 characters is the max")
            .shows("{phase: Pending}"),
        row("the hosts file has the pod's address and the usual names", pages::HOST_ALIASES, "{}")
            .says("{'file:/etc/hosts': {text: \"~127.0.0.1\\tlocalhost\\n\", mode: '0644'}}")
            .holds("its address", |scene| {
                let ip = scene.pod.status.clone().unwrap_or_default().pod_ip.unwrap_or_default();
                let message = super::run::last_message(scene.pod, "main").map_err(anyhow::Error::msg)?;
                anyhow::ensure!(message.contains(&format!("{ip}\\tpod\\n")), "{ip} is not in {message}");
                Ok(())
            }),
        row(
            "host aliases are further lines",
            pages::HOST_ALIASES,
            "{hostAliases: [{ip: 192.0.2.5, hostnames: [db, db.site]}, {ip: 192.0.2.6, hostnames: [cache]}]}",
        )
        .says("{'file:/etc/hosts': {text: \"~192.0.2.5\\tdb\\tdb.site\\n192.0.2.6\\tcache\\n\"}}"),
        row("a pod on its node's network has the node's host name and hosts file", pages::HOSTNAME, "{hostNetwork: true}")
            .says("{'file:/etc/hosts': {text: '~(host network)'}}")
            .holds("the host name", |scene| {
                let message = super::run::last_message(scene.pod, "main").map_err(anyhow::Error::msg)?;
                let own = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
                anyhow::ensure!(message.contains(&format!("\"hostname\":\"{}\"", own.trim())), "{own} {message}");
                Ok(())
            }),
        Row::new("a hosts file of the pod's own stays as it is", pages::HOST_ALIASES)
            .object("{kind: ConfigMap, metadata: {name: hosts}, data: {hosts: mine}}")
            .once("{args: [report, 'file:/etc/hosts'], volumeMounts: [{name: v, mountPath: /etc/hosts, subPath: hosts}]}")
            .with("{volumes: [{name: v, configMap: {name: hosts}}]}")
            .says("{'file:/etc/hosts': {text: mine}}"),
        Row::new("a long name is cut to what a host name may have", pages::HOSTNAME)
            .once("{args: [report, hostname]}")
            .with("{hostname: abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc}")
            .says("{hostname: abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc}"),
    ]
}

fn resolution() -> Vec<Row> {
    let row = |name, with: &str| {
        Row::new(name, pages::DNS).once("{args: [report, 'file:/etc/resolv.conf']}").with(with)
    };
    vec![
        row(
            "dnsPolicy None takes the pod's own settings alone",
            "{dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.53], searches: [one.example, two.example], options: [{name: ndots, value: '2'}, {name: edns0}]}}",
        )
        .says(
            "{'file:/etc/resolv.conf': {text: \"search one.example two.example\\nnameserver 192.0.2.53\\noptions ndots:2 edns0\\n\"}}",
        ),
        row("dnsPolicy Default is the node's", "{dnsPolicy: Default}").holds("the same name servers", |scene| {
            let message = super::run::last_message(scene.pod, "main").map_err(anyhow::Error::msg)?;
            for line in std::fs::read_to_string("/etc/resolv.conf")?.lines() {
                if line.starts_with("nameserver ") {
                    anyhow::ensure!(message.contains(line.trim_end()), "{line:?} is not in {message}");
                }
            }
            Ok(())
        }),
        row(
            "the pod's settings come after those of its policy",
            "{dnsPolicy: Default, dnsConfig: {searches: [own.example], options: [{name: timeout, value: '7'}]}}",
        )
        .says("{'file:/etc/resolv.conf': {text: ~own.example}}")
        .says("{'file:/etc/resolv.conf': {text: '~timeout:7'}}"),
        row("without a cluster DNS the node's is used, and told", "{dnsPolicy: ClusterFirst}")
            .says("{'file:/etc/resolv.conf': {kind: file}}")
            .event("MissingClusterDNS", ""),
        row("each pod has a resolv.conf, whatever the node's says", "{dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.54]}}")
            .says("{'file:/etc/resolv.conf': {text: \"nameserver 192.0.2.54\\n\", mode: '0644'}}"),
    ]
}

fn ports() -> Vec<Row> {
    vec![
        Row::new("a pod answers at its address", pages::API)
            .object("{kind: ConfigMap, metadata: {name: page}, data: {page: here I am}}")
            .spec(
                "{containers: [{name: main, args: [http, '8080', /v/page], ports: [{containerPort: 8080}], volumeMounts: [{name: v, mountPath: /v}]}],
                  volumes: [{name: v, configMap: {name: page}}]}",
            )
            .shows("{phase: Running}")
            .answers(8080, "here I am"),
        Row::new("a host port answers at the node's address", pages::HOST_PORTS)
            .object("{kind: ConfigMap, metadata: {name: page}, data: {page: behind the port}}")
            .spec(
                "{containers: [{name: main, args: [http, '8080', /v/page], ports: [{containerPort: 8080, hostPort: '@port'}], volumeMounts: [{name: v, mountPath: /v}]}],
                  volumes: [{name: v, configMap: {name: page}}]}",
            )
            .shows("{phase: Running}")
            .holds("an answer at the node's address", |scene| host_port_answers(scene, None)),
        Row::new("a host port may be one of a single address", pages::HOST_PORTS)
            .object("{kind: ConfigMap, metadata: {name: page}, data: {page: behind the port}}")
            .spec(
                "{containers: [{name: main, args: [http, '8080', /v/page], ports: [{containerPort: 8080, hostPort: '@port', hostIP: 127.0.0.1}], volumeMounts: [{name: v, mountPath: /v}]}],
                  volumes: [{name: v, configMap: {name: page}}]}",
            )
            .shows("{phase: Running}")
            .holds("an answer at loopback", |scene| host_port_answers(scene, Some("127.0.0.1")))
            .holds("no answer elsewhere", |scene| {
                let answered = host_port_answers(scene, None);
                anyhow::ensure!(answered.is_err(), "the port is open at the node's address, too");
                Ok(())
            }),
        Row::new("a program of another user may not take a low port of a locked pod", pages::SECURITY)
            .once("{args: [http, '80', /x], securityContext: {runAsUser: 1000, capabilities: {drop: [ALL]}}}")
            .with("{hostNetwork: true}")
            .ended("Error", 1),
    ]
}

/// A page from the pod's host port, at this address or at the node's.
fn host_port_answers(scene: &Scene<'_>, address: Option<&str>) -> anyhow::Result<()> {
    const SHORT: Duration = Duration::from_secs(3);
    let status = scene.pod.status.clone().unwrap_or_default();
    let ip: IpAddr = address.map_or(status.host_ip.unwrap_or_default(), str::to_owned).parse()?;
    let containers = scene.pod.spec.iter().flat_map(|spec| &spec.containers);
    let port =
        containers.flat_map(|container| container.ports.iter().flatten()).find_map(|port| port.host_port);
    let port = u16::try_from(port.unwrap_or_default())?;
    let mut stream = TcpStream::connect_timeout(&(ip, port).into(), SHORT)?;
    stream.set_read_timeout(Some(SHORT))?;
    stream.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    anyhow::ensure!(answer.ends_with("behind the port"), "it answered {answer:?}");
    Ok(())
}
