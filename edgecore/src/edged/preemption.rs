//! Whom a critical pod takes the place of, on a node that has no room for it
//! (<https://kubernetes.io/docs/tasks/administer-cluster/guaranteed-scheduling-critical-addon-pods/>). Pure.
//!
//! Kubelet's rules: pods that guarantee nothing go first, those with guarantees last; of each class as few as possible, and of those that
//! would do, the one that fits what is missing best. Pods that are critical themselves go only for a pod of a higher priority.

use k8s_openapi::api::core::v1::Pod;
use proto::placement::Amounts;
use proto::quantity::Amount;

use super::admission::Claim;
use super::pod::state::Ending;
use super::resources::QosClass;
use super::upkeep::eviction::rank::{is_critical, priority};

/// `status.reason` of a pod that was taken the place of, and the reason of the event about it.
const PREEMPTING: &str = "Preempting";
/// `status.message` of such a pod.
const MESSAGE: &str = "Preempted in order to admit critical pod";
/// What its condition `DisruptionTarget` says.
pub(in crate::edged) const CONDITION: &str = "Pod was preempted by Kubelet to accommodate a critical pod.";

/// A pod that takes room.
#[derive(Debug, Clone, Copy)]
pub struct Occupant<'a> {
    /// Its UID.
    pub uid: &'a str,
    /// The pod.
    pub pod: &'a Pod,
    /// What it takes.
    pub claim: &'a Claim,
}

/// What is missing of one resource, in thousandths.
#[derive(Debug, Clone)]
struct Need {
    resource: String,
    amount: i64,
}

/// The end of a pod whose place a critical one takes: it gets its own grace period.
pub fn preempted() -> Ending {
    Ending {
        reason: PREEMPTING.to_owned(),
        message: MESSAGE.to_owned(),
        grace: None,
        disruption: Some(CONDITION.to_owned()),
    }
}

/// The pods that have to go so that `pod` has what is missing: `lacks`.
///
/// # Errors
/// Not all of them together would do, in kubelet's words.
pub fn victims<'a>(
    pod: &Pod,
    lacks: &Amounts,
    occupants: impl Iterator<Item = Occupant<'a>>,
) -> Result<Vec<Occupant<'a>>, String> {
    let needs: Vec<Need> = lacks
        .iter()
        .map(|(resource, amount)| Need { resource: resource.clone(), amount: amount.milli_value() })
        .collect();
    let (mut guaranteed, mut burstable, mut best_effort) = (Vec::new(), Vec::new(), Vec::new());
    for occupant in occupants.filter(|occupant| gives_way(occupant.pod, pod)) {
        match QosClass::of(occupant.pod) {
            Ok(QosClass::Guaranteed) => guaranteed.push(occupant),
            Ok(QosClass::Burstable) => burstable.push(occupant),
            Ok(QosClass::BestEffort) | Err(_) => best_effort.push(occupant),
        }
    }
    let left = |of: &[&[Occupant<'_>]]| of.iter().fold(needs.clone(), |needs, all| without(needs, all));
    let unmet = left(&[&best_effort, &burstable, &guaranteed]);
    if !unmet.is_empty() {
        return Err(format!("no set of running pods found to reclaim resources: [{}]", told(&unmet)));
    }
    let last = nearest(guaranteed, left(&[&best_effort, &burstable]));
    let middle = nearest(burstable, left(&[&best_effort, &last]));
    let first = nearest(best_effort, left(&[&middle, &last]));
    Ok(first.into_iter().chain(middle).chain(last).collect())
}

/// Whether `occupant` may be ended for `pod`'s sake.
fn gives_way(occupant: &Pod, pod: &Pod) -> bool {
    if is_critical(pod) && !is_critical(occupant) {
        return true;
    }
    let set = |pod: &Pod| pod.spec.as_ref().is_some_and(|spec| spec.priority.is_some());
    set(occupant) && set(pod) && priority(pod) > priority(occupant)
}

/// The pods to be taken one after the other, each time the one after which least is missing, until nothing is.
fn nearest<'a>(mut among: Vec<Occupant<'a>>, mut needs: Vec<Need>) -> Vec<Occupant<'a>> {
    let mut chosen = Vec::new();
    while !needs.is_empty() && !among.is_empty() {
        let best = (1..among.len()).fold(0, |best, other| {
            let (now, then) = (distance(&needs, &among[other]), distance(&needs, &among[best]));
            let is_better = now < then || (now == then && is_smaller(among[other].claim, among[best].claim));
            if is_better { other } else { best }
        });
        let taken = among.remove(best);
        needs = without(needs, &[taken]);
        chosen.push(taken);
    }
    chosen
}

/// How much would still be missing, in proportion: 0 where the pod has enough of everything.
fn distance(needs: &[Need], occupant: &Occupant<'_>) -> f64 {
    let missing = needs.iter().map(|need| {
        let left = need.amount.saturating_sub(claimed(occupant, &need.resource)).max(0);
        (left as f64 / need.amount as f64).powi(2)
    });
    missing.sum()
}

/// Memory counts before processors.
fn is_smaller(one: &Claim, other: &Claim) -> bool {
    ["memory", "cpu"]
        .iter()
        .map(|resource| one.amount(resource).cmp(&other.amount(resource)))
        .find(|order| order.is_ne())
        .is_none_or(std::cmp::Ordering::is_lt)
}

fn without(needs: Vec<Need>, gone: &[Occupant<'_>]) -> Vec<Need> {
    let left = needs.into_iter().map(|need| {
        let freed = gone.iter().fold(0_i64, |sum, one| sum.saturating_add(claimed(one, &need.resource)));
        Need { amount: need.amount.saturating_sub(freed), ..need }
    });
    left.filter(|need| need.amount > 0).collect()
}

fn claimed(occupant: &Occupant<'_>, resource: &str) -> i64 {
    occupant.claim.amount(resource).milli_value()
}

/// As kubelet prints it: processors in thousandths.
fn told(needs: &[Need]) -> String {
    let one = |need: &Need| {
        let amount = if need.resource == "cpu" { need.amount } else { Amount::milli(need.amount).value() };
        format!("(res: {}, q: {amount}), ", need.resource)
    };
    needs.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, priority: i32, resources: Value) -> Pod {
        let containers = json!([{"name": "c", "resources": resources}]);
        serde_json::from_value(
            json!({"metadata": {"name": name}, "spec": {"priority": priority, "containers": containers}}),
        )
        .unwrap()
    }

    fn asking(name: &str, cpu: &str, memory: &str) -> Pod {
        pod(name, 0, json!({"requests": {"cpu": cpu, "memory": memory}}))
    }

    fn guaranteed(name: &str, cpu: &str, memory: &str) -> Pod {
        let amounts = json!({"cpu": cpu, "memory": memory});
        pod(name, 0, json!({"requests": amounts, "limits": amounts}))
    }

    fn best_effort(name: &str) -> Pod {
        pod(name, 0, json!({}))
    }

    fn vital() -> Pod {
        pod("vital", 2_000_001_000, json!({}))
    }

    fn chosen(preemptor: &Pod, lacks: &[(&str, &str)], pods: &[Pod]) -> Result<Vec<String>, String> {
        let lacks: Amounts = lacks
            .iter()
            .map(|(resource, amount)| ((*resource).to_owned(), Amount::parse(amount).unwrap()))
            .collect();
        let claims: Vec<Claim> = pods.iter().map(Claim::of).collect();
        let occupants = pods.iter().zip(&claims).map(|(pod, claim)| {
            let uid = pod.metadata.name.as_deref().unwrap_or_default();
            Occupant { uid, pod, claim }
        });
        let victims = victims(preemptor, &lacks, occupants)?;
        Ok(victims.into_iter().map(|victim| victim.uid.to_owned()).collect())
    }

    #[test]
    fn who_guarantees_least_goes_first() {
        let pods = [guaranteed("g", "1", "1Gi"), asking("b", "1", "1Gi"), best_effort("e")];
        assert_eq!(chosen(&vital(), &[("pods", "1")], &pods).unwrap(), ["e"]);
        assert_eq!(chosen(&vital(), &[("cpu", "500m")], &pods).unwrap(), ["b"]);
        assert_eq!(chosen(&vital(), &[("cpu", "1500m")], &pods).unwrap(), ["b", "g"]);
        assert_eq!(chosen(&vital(), &[("cpu", "1"), ("pods", "2")], &pods).unwrap(), ["e", "b"]);
    }

    #[test]
    fn as_few_as_possible_and_the_one_that_fits_best() {
        let pods =
            [asking("small", "100m", "1Mi"), asking("fits", "500m", "1Mi"), asking("large", "2", "1Gi")];
        // Both of the larger ones would do; the smaller of them goes.
        assert_eq!(chosen(&vital(), &[("cpu", "400m")], &pods).unwrap(), ["fits"]);
        assert_eq!(chosen(&vital(), &[("cpu", "600m")], &pods).unwrap(), ["large"]);
        assert_eq!(chosen(&vital(), &[("cpu", "100m")], &pods).unwrap(), ["small"]);
        assert_eq!(chosen(&vital(), &[("cpu", "2100m")], &pods).unwrap(), ["large", "small"]);
    }

    #[test]
    fn what_is_critical_itself_stays() {
        let vital_one = pod("one", 2_000_000_000, json!({"requests": {"cpu": "1"}}));
        let error =
            chosen(&pod("x", 2_000_000_000, json!({})), &[("cpu", "100m")], std::slice::from_ref(&vital_one));
        assert_eq!(
            error.unwrap_err(),
            "no set of running pods found to reclaim resources: [(res: cpu, q: 100), ]"
        );
        assert_eq!(
            chosen(&vital(), &[("cpu", "100m")], &[vital_one]).unwrap(),
            ["one"],
            "of higher priority"
        );
        let static_pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "s", "annotations": {"kubernetes.io/config.source": "file"}},
            "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}}))
        .unwrap();
        assert!(chosen(&vital(), &[("cpu", "100m")], &[static_pod]).is_err(), "it would come back at once");
    }

    #[test]
    fn what_would_not_be_enough_is_left_alone() {
        let pods = [asking("a", "1", "1Gi"), best_effort("b")];
        let error = chosen(&vital(), &[("cpu", "1100m"), ("memory", "2Gi")], &pods).unwrap_err();
        assert!(error.contains("(res: cpu, q: 100), (res: memory, q: 1073741824), "), "{error}");
    }

    proptest! {
        #[test]
        fn the_chosen_are_enough_and_nobody_goes_for_nothing(
            sizes in proptest::collection::vec((0u32..4, 0u32..2000, 0u32..2000), 0..10),
            cpu in 1u32..4000, memory in 1u32..4000,
        ) {
            let pods: Vec<Pod> = sizes.iter().enumerate().map(|(index, (class, cpu, memory))| {
                let (name, cpu, memory) = (format!("p{index}"), format!("{cpu}m"), format!("{memory}Mi"));
                match class {
                    0 => best_effort(&name),
                    1 => guaranteed(&name, &cpu, &memory),
                    _ => asking(&name, &cpu, &memory),
                }
            }).collect();
            let (cpu_text, memory_text) = (format!("{cpu}m"), format!("{memory}Mi"));
            let lacks = [("cpu", cpu_text.as_str()), ("memory", memory_text.as_str())];
            let of = |name: &str| {
                let (class, cpu, memory) = sizes[name[1..].parse::<usize>().unwrap()];
                if class == 0 { (0, 0) } else { (cpu, memory) }
            };
            let total = |names: &[String]| names.iter().map(|name| of(name)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
            let everybody: Vec<String> = (0..pods.len()).map(|index| format!("p{index}")).collect();
            let is_enough = |(has_cpu, has_memory): (u32, u32)| has_cpu >= cpu && has_memory >= memory;
            match chosen(&vital(), &lacks, &pods) {
                Ok(victims) => {
                    prop_assert!(is_enough(total(&victims)));
                    // One that has nothing of what is missing is never chosen.
                    prop_assert!(victims.iter().all(|name| of(name) != (0, 0)));
                }
                Err(_) => prop_assert!(!is_enough(total(&everybody))),
            }
        }
    }
}
