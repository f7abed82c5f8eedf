//! `/metrics/resource` and `/metrics/cadvisor`: names and labels as kubelet has them, so that metrics-server and the usual
//! dashboards work.

use jiff::Timestamp;

use super::prometheus::{Page, seconds};
use super::sample::{PodSample, Sample, usage};
use crate::edged::runtime::{ContainerStats, InterfaceStats};

/// `/metrics/resource`; `None`: the runtime could not be asked.
pub(super) fn resource(sample: Option<&Sample>) -> String {
    let mut page = Page::default();
    if let Some(sample) = sample {
        containers(&mut page, sample);
        node_and_pods(&mut page, sample);
    }
    page.metric(
        "resource_scrape_error",
        "gauge",
        "1 if there was an error while getting container metrics, 0 otherwise",
    );
    page.value(&[], Some(u8::from(sample.is_none())), None);
    page.finish()
}

fn each(sample: &Sample, mut show: impl FnMut(&PodSample, &ContainerStats, &[(&str, &str)])) {
    for pod in &sample.pods {
        for stats in &pod.containers {
            let labels = [
                ("container", stats.name.as_str()),
                ("namespace", &pod.key.namespace),
                ("pod", &pod.key.name),
            ];
            show(pod, stats, &labels);
        }
    }
}

fn containers(page: &mut Page, sample: &Sample) {
    page.metric(
        "container_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the container in core-seconds",
    );
    each(sample, |_, stats, labels| {
        page.value(labels, stats.cpu.map(|cpu| seconds(cpu.total)), stats.cpu.map(|cpu| cpu.time));
    });
    page.metric(
        "container_memory_working_set_bytes",
        "gauge",
        "Current working set of the container in bytes",
    );
    each(sample, |_, stats, labels| {
        page.value(labels, usage(stats).working_set, stats.memory.map(|memory| memory.time));
    });
    page.metric(
        "container_start_time_seconds",
        "gauge",
        "Start time of the container since unix epoch in seconds",
    );
    each(sample, |pod, stats, labels| {
        page.value(labels, pod.container(&stats.name).0.map(unix_seconds), None);
    });
}

fn node_and_pods(page: &mut Page, sample: &Sample) {
    let (node, time) = (&sample.machine.usage, Some(sample.time));
    page.metric(
        "node_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the node in core-seconds",
    );
    page.value(&[], node.cpu.map(seconds), time);
    page.metric("node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes");
    page.value(&[], node.working_set, time);
    page.metric(
        "pod_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the pod in core-seconds",
    );
    let labels = |pod: &PodSample| [("namespace", pod.key.namespace.clone()), ("pod", pod.key.name.clone())];
    for pod in &sample.pods {
        let labels = labels(pod);
        page.value(
            &labels.each_ref().map(|(name, value)| (*name, value.as_str())),
            pod.usage.cpu.map(seconds),
            time,
        );
    }
    page.metric("pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes");
    for pod in &sample.pods {
        let labels = labels(pod);
        page.value(
            &labels.each_ref().map(|(name, value)| (*name, value.as_str())),
            pod.usage.working_set,
            time,
        );
    }
}

/// `/metrics/cadvisor`: of what cAdvisor has, the series that dashboards and autoscalers ask for.
pub(super) fn cadvisor(sample: &Sample) -> String {
    let mut page = Page::default();
    page.metric("machine_cpu_cores", "gauge", "Number of logical CPU cores.");
    page.value(&[], Some(sample.machine.cores), None);
    page.metric("machine_memory_bytes", "gauge", "Amount of memory installed on the machine.");
    page.value(&[], Some(sample.machine.memory), None);
    page.metric("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.");
    every(sample, |one| {
        let mut labels = one.labels.to_vec();
        labels.insert(1, ("cpu", "total"));
        page.value(&labels, one.usage.cpu.map(seconds), Some(one.time));
    });
    type Pick = fn(&One<'_>) -> Option<u64>;
    let gauges: [(&'static str, &str, Pick); 4] = [
        (
            "container_memory_usage_bytes",
            "Current memory usage in bytes, including all memory regardless of when it was accessed",
            |one| one.usage.memory,
        ),
        ("container_memory_working_set_bytes", "Current working set in bytes.", |one| one.usage.working_set),
        ("container_memory_rss", "Size of RSS in bytes.", |one| one.usage.rss),
        (
            "container_fs_usage_bytes",
            "Number of bytes that are consumed by the container on this filesystem.",
            |one| one.written,
        ),
    ];
    for (name, help, pick) in gauges {
        page.metric(name, "gauge", help);
        every(sample, |one| page.value(one.labels, pick(one), Some(one.time)));
    }
    page.metric(
        "container_start_time_seconds",
        "gauge",
        "Start time of the container since unix epoch in seconds.",
    );
    every(sample, |one| page.value(one.labels, one.started.map(unix_seconds), Some(one.time)));
    networks(&mut page, sample);
    page.finish()
}

/// A container, or a pod as a whole, which has no name of a container.
struct One<'a> {
    labels: &'a [(&'a str, &'a str)],
    usage: super::cgroup::Usage,
    written: Option<u64>,
    started: Option<Timestamp>,
    time: Timestamp,
}

fn every(sample: &Sample, mut show: impl FnMut(&One<'_>)) {
    for pod in &sample.pods {
        let group = format!("/{}", pod.cgroup.display());
        let key = &pod.key;
        let labels = [
            ("container", ""),
            ("id", group.as_str()),
            ("image", ""),
            ("name", ""),
            ("namespace", &key.namespace),
            ("pod", &key.name),
        ];
        show(&One { labels: &labels, usage: pod.usage, written: None, started: None, time: sample.time });
        for stats in &pod.containers {
            let (started, image) = pod.container(&stats.name);
            let id = format!("{group}/{}", stats.id);
            let labels = [
                ("container", stats.name.as_str()),
                ("id", &id),
                ("image", image),
                ("name", &stats.id.0),
                ("namespace", &key.namespace),
                ("pod", &key.name),
            ];
            let written = stats.writable_layer.as_ref().and_then(|written| written.used);
            let time = stats.cpu.map_or(sample.time, |cpu| cpu.time);
            show(&One { labels: &labels, usage: usage(stats), written, started, time });
        }
    }
}

fn networks(page: &mut Page, sample: &Sample) {
    type Pick = fn(&InterfaceStats) -> Option<u64>;
    let counters: [(&'static str, &str, Pick); 4] = [
        ("container_network_receive_bytes_total", "Cumulative count of bytes received", |one| one.received),
        (
            "container_network_receive_errors_total",
            "Cumulative count of errors encountered while receiving",
            |one| one.receive_errors,
        ),
        ("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", |one| one.sent),
        (
            "container_network_transmit_errors_total",
            "Cumulative count of errors encountered while transmitting",
            |one| one.send_errors,
        ),
    ];
    for (name, help, pick) in counters {
        page.metric(name, "counter", help);
        for pod in &sample.pods {
            let group = format!("/{}", pod.cgroup.display());
            let Some(network) = &pod.network else { continue };
            for interface in &network.interfaces {
                let labels = [
                    ("container", ""),
                    ("id", group.as_str()),
                    ("image", ""),
                    ("interface", &interface.name),
                    ("name", network.sandbox.0.as_str()),
                    ("namespace", &pod.key.namespace),
                    ("pod", &pod.key.name),
                ];
                page.value(&labels, pick(interface), Some(network.time));
            }
        }
    }
}

fn unix_seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1e3
}
