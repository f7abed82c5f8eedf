//! Whether a pod that is new here can run here. What the scheduler has found is looked at again: pods come that it has never
//! seen (`spec.nodeName`, static pods), and a node cut off for long is not what the scheduler believes it to be.
//!
//! A pod that is refused fails with kubelet's word for it. One that runs already is never refused, whatever has changed.

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};
use proto::placement::{Amounts, host_ports, is_selected, requests, tolerates};
use proto::quantity::Amount;

use super::pod::state::Ending;
use super::resources::hugepages;

/// Namespaced, and harmless to other pods:
/// <https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/#safe-and-unsafe-sysctls>.
const SAFE_SYSCTLS: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_slow_start_after_idle",
];
/// Prefixes of those that belong to the IPC namespace; the others that a pod may set belong to its network.
const IPC_SYSCTLS: [&str; 4] = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."];

/// Why a pod cannot be taken on beside the others.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// Whoever else goes.
    Final(Ending),
    /// The others leave too little.
    Short {
        /// How much is missing of each resource of which there is too little.
        lacks: Amounts,
        /// How the pod fails for it.
        ending: Ending,
    },
}

/// What a pod takes of the node.
#[derive(Debug, Default)]
pub struct Claim {
    amounts: Amounts,
    ports: Vec<(String, i32)>,
}

// === impl Claim ===

impl Claim {
    /// Of a pod.
    pub fn of(pod: &Pod) -> Self {
        let Some(spec) = &pod.spec else { return Self::default() };
        let ports = host_ports(spec).map(|(protocol, port)| (protocol.to_owned(), port));
        Self { amounts: requests(spec), ports: ports.collect() }
    }

    /// Whether it takes something of a resource of this kind.
    pub fn wants(&self, is_of_kind: impl Fn(&str) -> bool) -> bool {
        self.amounts.iter().any(|(resource, amount)| amount.is_positive() && is_of_kind(resource))
    }

    /// How much of a resource it takes.
    pub fn amount(&self, resource: &str) -> Amount {
        self.amounts.get(resource).copied().unwrap_or_default()
    }

    /// Whether there is room for it beside `others`. What the node does not know of (`room` has no such resource) is not
    /// counted.
    ///
    /// # Errors
    /// Why the pod has to fail, unless others make room for it.
    pub fn fits<'a>(&self, others: impl Iterator<Item = &'a Self>, room: &Amounts) -> Result<(), Refusal> {
        let mut taken = Amounts::new();
        for other in others {
            if self.ports.iter().any(|port| other.ports.contains(port)) {
                let message = "node(s) didn't have free ports for the requested pod ports";
                return Err(Refusal::Final(failed_predicate("NodePorts", message)));
            }
            for (resource, amount) in &other.amounts {
                let sum = taken.entry(resource.clone()).or_default();
                *sum = sum.plus(*amount);
            }
        }
        let (mut lacks, mut first) = (Amounts::new(), None);
        for (resource, wanted) in self.amounts.iter().filter(|(_, amount)| amount.is_positive()) {
            let Some(capacity) = room.get(resource) else { continue };
            let used = taken.get(resource).copied().unwrap_or_default();
            let lack = used.plus(*wanted).minus_at_most(*capacity);
            if lack.is_positive() {
                lacks.insert(resource.clone(), lack);
                first.get_or_insert_with(|| out_of(resource, [*wanted, used, *capacity]));
            }
        }
        first.map_or(Ok(()), |ending| Err(Refusal::Short { lacks, ending }))
    }
}

/// `amounts`: what was asked for, what is taken, and what there is.
fn out_of(resource: &str, amounts: [Amount; 3]) -> Ending {
    let [wanted, used, capacity] = amounts.map(|amount| count(resource, amount));
    let message = format!(
        "Pod was rejected: Node didn't have enough resource: {resource}, requested: {wanted}, used: {used}, \
         capacity: {capacity}"
    );
    Ending::rejected(format!("OutOf{resource}"), message)
}

/// What the node is able to give besides resources.
#[derive(Debug, Clone, Copy)]
pub struct Able<'a> {
    /// What its owner allows (`allowedUnsafeSysctls`): names, or prefixes that end with `*`.
    pub unsafe_sysctls: &'a [String],
    /// The kernel enforces AppArmor profiles.
    pub has_apparmor: bool,
    /// The runtime gives a container no other groups than it is told to; `None`: nobody knows yet.
    pub has_strict_groups: Option<bool>,
}

/// Whether the node is one that the pod asks for and that lets it be.
///
/// # Errors
/// Why the pod has to fail.
pub fn suits(spec: &PodSpec, node: Option<&Node>, able: Able<'_>) -> Result<(), Ending> {
    if spec.os.as_ref().is_some_and(|os| os.name != "linux") {
        let message = "Failed to admit pod as the OS field doesn't match node OS";
        return Err(Ending::rejected("PodOSNotSupported", message));
    }
    sysctls(spec, able.unsafe_sysctls)?;
    hugepages::check(spec).map_err(|problem| {
        Ending::rejected("UnexpectedAdmissionError", format!("Pod was rejected: {problem}"))
    })?;
    if !able.has_apparmor && wants_apparmor(spec) {
        let message = "Cannot enforce AppArmor: AppArmor is not enabled on the host";
        return Err(Ending::rejected("AppArmor", message));
    }
    if able.has_strict_groups == Some(false) && wants_strict_groups(spec) {
        return Err(Ending::rejected(NO_STRICT_GROUPS.0, NO_STRICT_GROUPS.1));
    }
    let Some(node) = node else { return Ok(()) };
    if !is_selected(spec, node) {
        let message = "node(s) didn't match Pod's node affinity/selector";
        return Err(failed_predicate("NodeAffinity", message));
    }
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let keeps_out = taints.iter().find(|taint| {
        taint.effect == "NoExecute" && !tolerations.iter().any(|toleration| tolerates(toleration, taint))
    });
    match keeps_out {
        Some(taint) => {
            let value = taint.value.as_deref().unwrap_or_default();
            let message = format!("node(s) had untolerated taint {{{}: {value}}}", taint.key);
            Err(failed_predicate("TaintToleration", &message))
        }
        None => Ok(()),
    }
}

/// Reason and message of a pod that asks for no other groups than its own where that cannot be promised, in kubelet's words.
pub const NO_STRICT_GROUPS: (&str, &str) =
    ("SupplementalGroupsPolicyNotSupported", "SupplementalGroupsPolicy=Strict is not supported in this node");

/// Does the pod ask for no groups of its images' `/etc/group`?
/// <https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#supplementalgroupspolicy>
pub fn wants_strict_groups(spec: &PodSpec) -> bool {
    let context = spec.security_context.as_ref();
    context.and_then(|context| context.supplemental_groups_policy.as_deref()) == Some("Strict")
}

/// Does anything of the pod ask for a profile? A promise that cannot be kept is not made:
/// <https://kubernetes.io/docs/tutorials/security/apparmor/>.
fn wants_apparmor(spec: &PodSpec) -> bool {
    let of_pod = spec.security_context.as_ref().and_then(|context| context.app_armor_profile.as_ref());
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let own =
        containers.filter_map(|container| container.security_context.as_ref()?.app_armor_profile.as_ref());
    of_pod.into_iter().chain(own).any(|profile| profile.type_ != "Unconfined")
}

fn sysctls(spec: &PodSpec, allowed: &[String]) -> Result<(), Ending> {
    let context = spec.security_context.as_ref();
    for sysctl in context.and_then(|context| context.sysctls.as_deref()).unwrap_or_default() {
        // Both ways of writing it are the kernel's.
        let name = sysctl.name.replace('/', ".");
        let is_allowed = SAFE_SYSCTLS.contains(&name.as_str())
            || allowed.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == *pattern,
            });
        let is_ipc = IPC_SYSCTLS.iter().any(|prefix| name.starts_with(prefix));
        let why = match () {
            () if is_ipc && spec.host_ipc == Some(true) => "not allowed with host ipc enabled",
            () if !is_ipc && spec.host_network == Some(true) => "not allowed with host net enabled",
            () if !is_allowed => "not allowlisted",
            () => continue,
        };
        let message = format!("forbidden sysctl: {:?} {why}", sysctl.name);
        return Err(Ending::rejected("SysctlForbidden", message));
    }
    Ok(())
}

fn failed_predicate(name: &str, message: &str) -> Ending {
    Ending::rejected(name, format!("Pod was rejected: Predicate {name} failed: {message}"))
}

/// As kubelet prints it: processors in thousandths.
fn count(resource: &str, amount: Amount) -> i64 {
    if resource == "cpu" { amount.milli_value() } else { amount.value() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claim(spec: Value) -> Claim {
        Claim::of(&serde_json::from_value(json!({"spec": spec})).unwrap())
    }

    fn asking(cpu: &str) -> Claim {
        claim(json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}))
    }

    fn room() -> Amounts {
        [("cpu".to_owned(), Amount::whole(2)), ("pods".to_owned(), Amount::whole(3))].into()
    }

    fn reason(fits: Result<(), Refusal>) -> String {
        match fits.unwrap_err() {
            Refusal::Final(ending) | Refusal::Short { ending, .. } => ending.reason,
        }
    }

    fn refused(spec: Value, node: Value) -> String {
        let (spec, node) = (serde_json::from_value(spec).unwrap(), serde_json::from_value(node).unwrap());
        let allowed = ["kernel.msg*".to_owned()];
        let able = Able { unsafe_sysctls: &allowed, has_apparmor: false, has_strict_groups: None };
        suits(&spec, Some(&node), able).err().map(|ending| ending.reason).unwrap_or_default()
    }

    #[test]
    fn what_does_not_fit_is_told_with_numbers() {
        let used = asking("1500m");
        assert_eq!(asking("500m").fits([&used].into_iter(), &room()), Ok(()));
        let Err(Refusal::Short { lacks, ending }) = asking("501m").fits([&used].into_iter(), &room()) else {
            panic!("it does not fit");
        };
        assert_eq!(ending.reason, "OutOfcpu");
        assert_eq!(lacks, [("cpu".to_owned(), Amount::milli(1))].into());
        assert!(ending.message.ends_with("cpu, requested: 501, used: 1500, capacity: 2000"), "{ending:?}");
    }

    #[test]
    fn a_full_node_takes_no_more_pods() {
        let small = [asking("1m"), asking("1m"), asking("1m")];
        assert_eq!(asking("1m").fits(small.iter().take(2), &room()), Ok(()));
        assert_eq!(reason(asking("1m").fits(small.iter(), &room())), "OutOfpods");
    }

    #[test]
    fn a_port_of_the_node_belongs_to_one_pod() {
        let port = |protocol: &str| {
            claim(json!({"containers": [{"name": "c", "ports": [
                {"containerPort": 80, "hostPort": 80, "protocol": protocol}]}]}))
        };
        assert_eq!(port("TCP").fits([&port("UDP")].into_iter(), &room()), Ok(()));
        assert_eq!(reason(port("TCP").fits([&port("TCP")].into_iter(), &room())), "NodePorts");
    }

    #[test]
    fn resources_that_the_node_does_not_count_do_not_matter() {
        let odd =
            claim(json!({"containers": [{"name": "c", "resources": {"requests": {"shop.io/x": "1"}}}]}));
        assert_eq!(odd.fits(std::iter::empty(), &room()), Ok(()));
    }

    #[test]
    fn the_node_has_to_be_the_one_that_is_asked_for() {
        let node = json!({"metadata": {"labels": {"zone": "north"}}});
        assert_eq!(refused(json!({"containers": [], "nodeSelector": {"zone": "north"}}), node.clone()), "");
        assert_eq!(
            refused(json!({"containers": [], "nodeSelector": {"zone": "x"}}), node.clone()),
            "NodeAffinity"
        );
        assert_eq!(refused(json!({"containers": [], "os": {"name": "windows"}}), node), "PodOSNotSupported");
    }

    #[test]
    fn a_profile_that_nobody_would_enforce_is_refused() {
        let asks = |pod: Value, own: Value| {
            let containers = json!([{"name": "c", "securityContext": own}]);
            let spec: PodSpec =
                serde_json::from_value(json!({"securityContext": pod, "containers": containers})).unwrap();
            let able = |has_apparmor| Able { unsafe_sysctls: &[], has_apparmor, has_strict_groups: None };
            assert_eq!(suits(&spec, None, able(true)), Ok(()));
            suits(&spec, None, able(false)).err().map(|ending| ending.reason).unwrap_or_default()
        };
        let profile = |kind: &str| json!({"appArmorProfile": {"type": kind}});
        assert_eq!(asks(json!({}), json!({})), "");
        assert_eq!(asks(json!({}), profile("Unconfined")), "");
        assert_eq!(asks(json!({}), profile("RuntimeDefault")), "AppArmor");
        assert_eq!(asks(profile("Localhost"), json!({})), "AppArmor");
    }

    #[test]
    fn only_taints_that_evict_count() {
        let node = |effect: &str| json!({"spec": {"taints": [{"key": "shop", "effect": effect}]}});
        let plain = json!({"containers": []});
        assert_eq!(refused(plain.clone(), node("NoSchedule")), "", "it was sent here all the same");
        assert_eq!(refused(plain, node("NoExecute")), "TaintToleration");
        let tolerant = json!({"containers": [], "tolerations": [{"operator": "Exists"}]});
        assert_eq!(refused(tolerant, node("NoExecute")), "");
    }

    #[test]
    fn sysctls_are_safe_or_allowed_and_the_pods_own() {
        let with = |name: &str, more: Value| {
            let mut spec =
                json!({"containers": [], "securityContext": {"sysctls": [{"name": name, "value": "1"}]}});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            refused(spec, json!({}))
        };
        assert_eq!(with("net.ipv4.tcp_syncookies", json!({})), "");
        assert_eq!(with("net/ipv4/tcp_syncookies", json!({})), "");
        assert_eq!(with("kernel.msgmax", json!({})), "", "the node's owner allows it");
        assert_eq!(with("kernel.sem", json!({})), "SysctlForbidden");
        assert_eq!(with("net.ipv4.tcp_syncookies", json!({"hostNetwork": true})), "SysctlForbidden");
        assert_eq!(with("kernel.msgmax", json!({"hostIPC": true})), "SysctlForbidden");
    }
}
