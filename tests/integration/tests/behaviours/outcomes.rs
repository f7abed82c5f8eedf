//! How containers end and what the pod's phase then is, for every restart policy.

use super::row::{Row, pages};

pub(crate) fn rows() -> Vec<Row> {
    [phases(), ends(), last_words()].concat()
}

fn phases() -> Vec<Row> {
    let pod = |name, policy: &str, args: &str| {
        Row::new(name, pages::PHASE)
            .spec(&format!("{{restartPolicy: {policy}, containers: [{{name: main, args: {args}}}]}}"))
    };
    vec![
        pod("restart policy Never and exit code 0: Succeeded", "Never", "[exit, '0']")
            .shows("{phase: Succeeded, containerStatuses: [{name: main, restartCount: 0, ready: false}]}")
            .ended("Completed", 0),
        pod("restart policy Never and exit code 3: Failed", "Never", "[exit, '3']")
            .shows("{phase: Failed, containerStatuses: [{name: main, restartCount: 0, ready: false}]}")
            .ended("Error", 3),
        pod("restart policy OnFailure and exit code 0: Succeeded", "OnFailure", "[exit, '0']")
            .shows("{phase: Succeeded, containerStatuses: [{name: main, restartCount: 0}]}")
            .ended("Completed", 0),
        pod("restart policy OnFailure and exit code 3: Running and restarted", "OnFailure", "[exit, '3']")
            .shows("{phase: Running, containerStatuses: [{name: main, restartCount: '>=1'}]}"),
        pod("restart policy Always and exit code 0: Running and restarted", "Always", "[exit, '0']")
            .shows("{phase: Running, containerStatuses: [{name: main, restartCount: '>=1'}]}"),
        pod("restart policy Always and exit code 3: Running and restarted", "Always", "[exit, '3']")
            .shows("{phase: Running, containerStatuses: [{name: main, restartCount: '>=1'}]}"),
        pod("no restart policy is Always", "null", "[exit, '0']")
            .is("{spec: {restartPolicy: Always}}")
            .shows("{containerStatuses: [{name: main, restartCount: '>=1'}]}"),
        pod("a running container: Running and ready", "Never", "[pause]").shows(
            "{phase: Running, containerStatuses: [{name: main, ready: true, started: true, state: {running: {startedAt: '*'}}}]}",
        ),
        Row::new("one container ended and one runs: Running and not ready", pages::PHASE)
            .spec(
                "{restartPolicy: Never, containers: [{name: main, args: [exit, '0']}, {name: other, args: [pause]}]}",
            )
            .ended("Completed", 0)
            .shows(
                "{phase: Running, containerStatuses: [{name: other, ready: true}],
                  conditions: [{type: Ready, status: 'False', reason: ContainersNotReady, message: '~[main]'}]}",
            ),
        Row::new("all containers ended and one failed: Failed", pages::PHASE)
            .spec(
                "{restartPolicy: Never, containers: [{name: main, args: [exit, '0']}, {name: other, args: [exit, '1']}]}",
            )
            .shows("{phase: Failed}")
            .ended("Completed", 0),
        Row::new("all containers ended well: Succeeded", pages::PHASE)
            .spec(
                "{restartPolicy: Never, containers: [{name: main, args: [exit, '0']}, {name: other, args: [exit, '0']}]}",
            )
            .shows("{phase: Succeeded}"),
        Row::new("a container without its image: Pending beside a running one", pages::PHASE)
            .spec(
                "{containers: [{name: main, image: 'skerry.local/none:1', imagePullPolicy: Never}, {name: other, args: [pause]}]}",
            )
            .waits("ErrImageNeverPull", "")
            .shows("{phase: Pending, containerStatuses: [{name: other, ready: true}]}"),
    ]
}

fn ends() -> Vec<Row> {
    // A process that is not the first of its namespace can be killed by its own signal.
    let killed = |name, signal: &str| {
        Row::new(name, pages::CONTAINER_STATES)
            .once(&format!("{{args: [raise, '{signal}']}}"))
            .with("{shareProcessNamespace: true}")
    };
    vec![
        Row::new("the exit code 255", pages::CONTAINER_STATES).once("{args: [exit, '255']}").ended("Error", 255),
        killed("killed by SIGKILL: exit code 137", "9").ended("Error", 137),
        killed("killed by SIGTERM: exit code 143", "15").ended("Error", 143),
        killed("killed by SIGSEGV: exit code 139", "11").ended("Error", 139),
        // Not the reason: containerd 1.6 learns of the OOM from one source and of the end from another, and where the end
        // is faster it says `Error`, to a kubelet, too.
        Row::new("more memory than its limit: killed", pages::MEMORY)
            .once("{args: [allocate, '200'], resources: {limits: {memory: 32Mi}}}")
            .shows("{phase: Failed, containerStatuses: [{name: main, state: {terminated: {exitCode: 137}}}]}"),
        Row::new("killed for its memory and restarted", pages::MEMORY)
            .spec(
                "{containers: [{name: main, args: [allocate, '200'], resources: {limits: {memory: 32Mi}}}]}",
            )
            .shows(
                "{containerStatuses: [{name: main, restartCount: '>=1', lastState: {terminated: {exitCode: 137}}}]}",
            ),
        Row::new("a terminated container says when and what it was", pages::CONTAINER_STATES)
            .once("{args: [exit, '1']}")
            .shows(
                "{containerStatuses: [{name: main, containerID: '~containerd://', imageID: '*', image: 'skerry.local/hello:demo',
                  state: {terminated: {startedAt: '*', finishedAt: '*', containerID: '~containerd://'}}}]}",
            ),
    ]
}

fn last_words() -> Vec<Row> {
    let row = |name, yaml: &str| Row::new(name, pages::LAST_WORDS).once(yaml);
    vec![
        row("the last message is read from its file", "{args: [say, hello, there]}").last("main", "hello there"),
        row("a failed container leaves a message too", "{args: [say, why, then, exit, '2']}")
            .ended("Error", 2)
            .last("main", "why"),
        row(
            "the last message may have a path of its own",
            "{terminationMessagePath: /tmp/last words, args: [write, /tmp/last words, from there]}",
        )
        .last("main", "from there"),
        row("the default policy takes nothing from the log", "{args: [print, secret, then, exit, '1']}")
            .ended("Error", 1)
            .last("main", ""),
        row(
            "FallbackToLogsOnError takes the end of the log",
            "{terminationMessagePolicy: FallbackToLogsOnError, args: [print, first, then, print, second, then, exit, '1']}",
        )
        .ended("Error", 1)
        .last("main", "first\nsecond\n"),
        row(
            "FallbackToLogsOnError takes nothing from the log of a success",
            "{terminationMessagePolicy: FallbackToLogsOnError, args: [print, first]}",
        )
        .ended("Completed", 0)
        .last("main", ""),
        row(
            "FallbackToLogsOnError prefers the file",
            "{terminationMessagePolicy: FallbackToLogsOnError, args: [print, log, then, say, file, then, exit, '1']}",
        )
        .ended("Error", 1)
        .last("main", "file"),
        row("a long message is cut to 4 KiB", &format!("{{args: [say, '{}']}}", "x".repeat(5000)))
            .last("main", "x".repeat(4096)),
        row("messages of twelve containers share 12 KiB", "{}")
            .spec(&twelve_containers())
            .last("c3", "y".repeat(1024)),
        row(
            "a log is cut to 2 KiB",
            &format!(
                "{{terminationMessagePolicy: FallbackToLogsOnError, args: [print, '{}', then, exit, '1']}}",
                "z".repeat(3000)
            ),
        )
        .last("main", format!("{}\n", "z".repeat(2047))),
        Row::new("the last message of the life before is kept", pages::LAST_WORDS)
            .spec("{containers: [{name: main, args: [say, again, then, exit, '1']}]}")
            .shows(
                "{containerStatuses: [{name: main, restartCount: '>=1', lastState: {terminated: {message: again}}}]}",
            ),
    ]
}

fn twelve_containers() -> String {
    let containers: Vec<String> =
        (0..12).map(|n| format!("{{name: c{n}, args: [say, '{}']}}", "y".repeat(2000))).collect();
    format!("{{restartPolicy: Never, containers: [{}]}}", containers.join(", "))
}
