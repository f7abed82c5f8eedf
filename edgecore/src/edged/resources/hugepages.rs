//! Huge pages: <https://kubernetes.io/docs/tasks/manage-hugepages/scheduling-hugepages/>.

use std::collections::{BTreeMap, BTreeSet};

use k8s_cri::v1::HugepageLimit;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use proto::placement::{amounts, requests};

use super::Amount;

/// How such resources begin; what follows is the size of a page.
const PREFIX: &str = "hugepages-";

/// Bytes of a page of the resource `hugepages-<size>`; `None` for other resources.
pub fn page_size(resource: &str) -> Option<u64> {
    let size = Amount::parse(resource.strip_prefix(PREFIX)?).ok()?.value();
    u64::try_from(size).ok().filter(|size| *size > 0)
}

/// A size as the kernel's cgroups and CRI write it: `2MB`, `1GB`, `64KB`, in powers of 1024.
pub fn unit_name(size: u64) -> String {
    let units = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    let unit = units.into_iter().find(|(unit, _)| size.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{size}B"), |(unit, name)| format!("{}{name}", size / unit))
}

/// What CRI is told about a container: as many bytes of pages of each size that the node has (`sizes`) as it asks for. One that asks
/// for none gets none.
pub fn container_limits(container: &Container, sizes: &[u64]) -> Vec<HugepageLimit> {
    let limits = amounts(container.resources.as_ref().and_then(|resources| resources.limits.as_ref()));
    let mut by_size: BTreeMap<u64, u64> = sizes.iter().map(|size| (*size, 0)).collect();
    for (resource, amount) in &limits {
        if let Some(size) = page_size(resource) {
            by_size.insert(size, u64::try_from(amount.value()).unwrap_or_default());
        }
    }
    by_size.into_iter().map(|(size, limit)| HugepageLimit { page_size: unit_name(size), limit }).collect()
}

/// Bytes of pages of each size that the pod as a whole may use, by name of the size. Limits are requests here.
pub(super) fn pod_limits(spec: &PodSpec) -> BTreeMap<String, i64> {
    let all = requests(spec);
    let of = |(resource, amount): (&String, &Amount)| Some((unit_name(page_size(resource)?), amount.value()));
    all.iter().filter_map(of).collect()
}

/// What the API asks of every pod; not every pod has passed it.
///
/// # Errors
/// What is wrong, for people.
pub fn check(spec: &PodSpec) -> Result<(), String> {
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        let Some(resources) = &container.resources else { continue };
        let (requests, limits) = (amounts(resources.requests.as_ref()), amounts(resources.limits.as_ref()));
        let named = || requests.keys().chain(limits.keys());
        for resource in named().filter(|resource| resource.starts_with(PREFIX)) {
            let wrong = |what: &str| Err(format!("container {:?}: {resource}: {what}", container.name));
            match (requests.get(resource), limits.get(resource), page_size(resource)) {
                (_, _, None) => return wrong("this is no size of a page"),
                (_, None, _) => return wrong("Limit must be set for non overcommitable resources"),
                (Some(request), Some(limit), _) if request != limit => {
                    return wrong(&format!("must be equal to {resource} limit"));
                }
                (_, Some(limit), Some(size))
                    if !u64::try_from(limit.value()).is_ok_and(|limit| limit.is_multiple_of(size)) =>
                {
                    return wrong("must be whole pages");
                }
                _ => {}
            }
            if !named().any(|resource| resource == "cpu" || resource == "memory") {
                return wrong("HugePages require cpu or memory");
            }
        }
    }
    Ok(())
}

/// Size of the pages of an emptyDir: that of its medium (`HugePages-<size>`), or, where that says none, the only one that the pod asks for.
///
/// # Errors
/// The pod asks for none of this size, or for several; for people.
pub fn medium_size(pod: &Pod, of_medium: Option<u64>) -> Result<u64, String> {
    let spec = pod.spec.as_ref();
    let containers =
        spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    let mut sizes = BTreeSet::new();
    for container in containers {
        let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
        sizes.extend(limits.into_iter().flatten().filter_map(|(resource, _)| page_size(resource)));
    }
    match (of_medium, sizes.len()) {
        (Some(size), _) if sizes.contains(&size) => Ok(size),
        (Some(size), _) => Err(format!("no container asks for huge pages of {}", unit_name(size))),
        (None, 1) => Ok(sizes.into_iter().next().unwrap_or_default()),
        (None, 0) => {
            Err("hugePages storage requested, but there is no resource request for huge pages".to_owned())
        }
        (None, _) => {
            Err("medium: HugePages can't be used if container requests multiple huge page sizes".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const M: u64 = 1 << 20;

    fn spec(containers: Value) -> PodSpec {
        serde_json::from_value(json!({"containers": containers})).unwrap()
    }

    fn asking(requests: Value, limits: Value) -> PodSpec {
        spec(json!([{"name": "c", "resources": {"requests": requests, "limits": limits}}]))
    }

    #[test]
    fn sizes_have_two_names() {
        assert_eq!((page_size("hugepages-2Mi"), page_size("hugepages-1Gi")), (Some(2 * M), Some(1 << 30)));
        assert_eq!(
            (page_size("memory"), page_size("hugepages-x"), page_size("hugepages-0")),
            (None, None, None)
        );
        assert_eq!(
            [2 * M, 1 << 30, 64 << 10, 32 * M, 512 * M].map(unit_name),
            ["2MB", "1GB", "64KB", "32MB", "512MB"]
        );
    }

    #[test]
    fn a_container_gets_what_it_asks_for_and_nothing_of_other_sizes() {
        let limits = json!({"hugepages-2Mi": "100Mi", "memory": "1Gi"});
        let limits = container_limits(&asking(json!({}), limits).containers[0], &[2 * M, 1 << 30]);
        let limits: Vec<_> = limits.iter().map(|one| (one.page_size.as_str(), one.limit)).collect();
        assert_eq!(limits, [("2MB", 100 * M), ("1GB", 0)]);
    }

    #[test]
    fn a_pod_gets_what_its_containers_get() {
        let one = json!({"name": "c", "resources": {"limits": {"hugepages-2Mi": "4Mi", "cpu": "1"}}});
        assert_eq!(pod_limits(&spec(json!([one, one]))), [("2MB".to_owned(), 8 << 20)].into());
    }

    #[test]
    fn what_the_api_refuses_is_refused() {
        let why = |requests: Value, limits: Value| check(&asking(requests, limits)).err().unwrap_or_default();
        assert_eq!(why(json!({}), json!({"hugepages-2Mi": "4Mi", "cpu": "1"})), "");
        assert_eq!(why(json!({"hugepages-2Mi": "4Mi"}), json!({"hugepages-2Mi": "4Mi", "memory": "1"})), "");
        for (requests, limits, end) in [
            (
                json!({"hugepages-2Mi": "2Mi"}),
                json!({"hugepages-2Mi": "4Mi", "cpu": "1"}),
                "must be equal to hugepages-2Mi limit",
            ),
            (
                json!({"hugepages-2Mi": "2Mi"}),
                json!({"cpu": "1"}),
                "Limit must be set for non overcommitable resources",
            ),
            (json!({}), json!({"hugepages-2Mi": "4Mi"}), "HugePages require cpu or memory"),
            (json!({}), json!({"hugepages-2Mi": "3Mi", "cpu": "1"}), "must be whole pages"),
            (json!({}), json!({"hugepages-x": "3Mi", "cpu": "1"}), "this is no size of a page"),
        ] {
            let why = why(requests, limits);
            assert!(why.ends_with(end), "{why:?}, not {end:?}");
        }
    }

    #[test]
    fn a_volume_has_pages_that_the_pod_asks_for() {
        let pod = |limits: Value| Pod { spec: Some(asking(json!({}), limits)), ..Pod::default() };
        let one = pod(json!({"hugepages-2Mi": "4Mi", "cpu": "1"}));
        assert_eq!((medium_size(&one, None), medium_size(&one, Some(2 * M))), (Ok(2 * M), Ok(2 * M)));
        assert!(medium_size(&one, Some(1 << 30)).unwrap_err().ends_with("huge pages of 1GB"));
        let two = pod(json!({"hugepages-2Mi": "4Mi", "hugepages-1Gi": "1Gi"}));
        assert!(medium_size(&two, None).unwrap_err().contains("multiple huge page sizes"));
        assert_eq!(medium_size(&two, Some(1 << 30)), Ok(1 << 30));
        assert!(medium_size(&pod(json!({})), None).is_err());
    }
}
