//! The table of pod behaviours: what a pod's manifest promises, seen through the Kubernetes API and from inside the
//! container, on a node with a real containerd. Needs root.
//!
//! A [`row::Row`] is data: its name, the page of Kubernetes' documentation that the rule is from, a manifest, and what
//! must be seen. Every row has a namespace of its own; they run [`TOGETHER`] at a time on one site. `ROW=words` runs
//! the rows whose name contains the words, `ROW='these|those'` the one and the other. Containers run `build/demo-app`, which can tell what it sees.
#![expect(clippy::too_many_lines, reason = "a list of rows is data, and as long as there is to say")]

mod bad_specs;
mod claims;
mod classes;
mod debugging;
mod describe;
mod environment;
mod further_images;
mod hooks;
mod images;
mod lifecycle;
mod limits;
mod long;
mod matching;
mod neighbour;
mod network;
mod outcomes;
mod probes;
mod profiles;
mod promises;
mod propagation;
mod resources;
mod restarts;
mod row;
mod run;
mod security;
mod seen;
mod services;
mod sidecars;
mod static_pods;
mod statuses;
mod storage;
mod traces;
mod volumes;

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use integration::site::Site;
use tokio::time::Instant;

use self::row::Row;
use self::run::Table;

/// Enough that rows which wait do not hold up the others, few enough that containerd on two cores keeps up.
const TOGETHER: usize = 12;

fn table() -> Vec<Row> {
    let themes: [fn() -> Vec<Row>; 23] = [
        outcomes::rows,
        lifecycle::rows,
        restarts::rows,
        statuses::rows,
        environment::rows,
        services::rows,
        volumes::rows,
        storage::rows,
        resources::rows,
        security::rows,
        network::rows,
        images::rows,
        bad_specs::rows,
        probes::rows,
        hooks::rows,
        sidecars::rows,
        claims::rows,
        propagation::rows,
        classes::rows,
        static_pods::rows,
        debugging::rows,
        promises::rows,
        limits::rows,
    ];
    themes.into_iter().flat_map(|rows| rows()).collect()
}

#[test]
fn no_two_rows_have_the_same_name_and_each_cites_kubernetes() {
    let all = || table().into_iter().chain(long::rows());
    let mut names: Vec<&str> = all().map(|row| row.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a name is used twice");
    for row in all() {
        assert!(row.page.starts_with("https://kubernetes.io/docs/"), "{}: {}", row.name, row.page);
        assert!(!row.steps.is_empty(), "{} expects nothing", row.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_behave_as_kubernetes_says() -> anyhow::Result<()> {
    run(chosen()).await
}

/// `make chaos` runs them, among others.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "ten minutes: `make chaos`"]
async fn pods_behave_as_kubernetes_says_for_minutes() -> anyhow::Result<()> {
    run(long::rows()).await
}

#[expect(clippy::print_stderr, reason = "rows are many and take long: each is told of when it has ended")]
async fn run(chosen: Vec<Row>) -> anyhow::Result<()> {
    let site = Site::new(None)?;
    site.up()?;
    further_images::import(&site)?;
    profiles::write(&site)?;
    let table = Table::open(site).await?;
    let begun = Instant::now();
    let results: Vec<(&'static str, Duration, Result<(), String>)> = stream::iter(chosen)
        .map(|row| async {
            let (name, begun) = (row.name, Instant::now());
            let result = table.run(row).await;
            (name, begun.elapsed(), result)
        })
        .buffer_unordered(TOGETHER)
        .inspect(|(name, took, result)| match result {
            Ok(()) => eprintln!("held    {name} ({:.1} s)", took.as_secs_f32()),
            Err(_) => eprintln!("FAILED  {name}"),
        })
        .collect()
        .await;
    let (all, took) = (results.len(), begun.elapsed());
    let failed: Vec<String> = results
        .into_iter()
        .filter_map(|(name, _, result)| Some(format!("{name}\n{}", result.err()?)))
        .collect();
    eprintln!("{} of {all} rows held, in {:.0} s", all - failed.len(), took.as_secs_f32());
    table.nothing_is_left().await?;
    anyhow::ensure!(failed.is_empty(), "{} of {all} rows failed\n\n{}", failed.len(), failed.join("\n\n"));
    Ok(())
}

/// All rows, or those that `ROW` chooses.
#[expect(clippy::disallowed_methods, reason = "the test's one setting, read where it is used")]
fn chosen() -> Vec<Row> {
    let Ok(words) = std::env::var("ROW") else { return table() };
    let is_chosen = |row: &Row| words.split('|').any(|words| row.name.contains(words));
    let rows: Vec<Row> = table().into_iter().filter(is_chosen).collect();
    assert!(!rows.is_empty(), "no row's name contains {words:?}");
    rows
}
