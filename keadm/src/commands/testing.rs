//! What tests of several commands need.

use std::collections::BTreeMap;
use std::sync::Mutex;

use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use certs::authority::NAMESPACE;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use http::StatusCode;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use rustls_pki_types::CertificateDer;

use crate::hint;
use crate::printer::{self, Printer};
use crate::web::{Answer, Web};

/// A network that a test makes up: what each URL answers.
pub(super) trait Made {
    /// The answer, or why there is none.
    fn answer(&self, url: &str) -> anyhow::Result<Answer>;

    /// Looks at whom is to be believed.
    fn believes(&self, _: &CertificateDer<'static>) {}
}

impl<T: Made + Send + Sync> Web for T {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, anyhow::Result<Answer>> {
        ready(self.answer(url)).boxed()
    }

    fn get_verified<'a>(
        &'a self,
        url: &'a str,
        ca: &'a CertificateDer<'static>,
    ) -> BoxFuture<'a, anyhow::Result<Answer>> {
        self.believes(ca);
        self.get(url)
    }
}

/// The API of a cluster that is empty but for the namespace. It has no Deployments and no roles.
pub(super) struct Cluster;

impl Cluster {
    pub(super) async fn client() -> Client {
        let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
        let client = Client::new(api.service(User::admin()), "default");
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(NAMESPACE.to_owned()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        client
    }
}

/// Answers by the end of the URL: each time the next of the list, the last one for ever. Others are refused.
#[derive(Debug, Default)]
pub(super) struct Pages(Mutex<BTreeMap<&'static str, Vec<(u16, &'static str)>>>);

impl Pages {
    pub(super) fn new(pages: &[(&'static str, &[(u16, &'static str)])]) -> Self {
        let pages = pages.iter().map(|(path, answers)| {
            let mut answers = answers.to_vec();
            answers.reverse();
            (*path, answers)
        });
        Self(Mutex::new(pages.collect()))
    }

    /// An EdgeCore that is alive and connected.
    pub(super) fn healthy() -> Self {
        Self::new(&[("/healthz", &[(200, "ok")]), ("/readyz", &[(200, "ok")])])
    }
}

impl Made for Pages {
    fn answer(&self, url: &str) -> anyhow::Result<Answer> {
        let mut pages = self.0.lock().unwrap();
        let found = pages
            .iter_mut()
            .find(|(path, _)| url.ends_with(**path))
            .and_then(|(_, answers)| if answers.len() > 1 { answers.pop() } else { answers.last().copied() });
        let answer = found.map(|(status, text)| Answer {
            status: StatusCode::from_u16(status).unwrap(),
            body: text.into(),
        });
        answer.ok_or_else(|| anyhow::anyhow!("{url}: Connection refused (os error 111)"))
    }
}

/// What stands on the terminal when a command has ended: what it printed, then why it did not work.
pub(super) fn terminal(printer: &Printer, result: &anyhow::Result<()>) -> String {
    let failed = result.as_ref().err().map(|error| {
        let code = if hint::is_usage(error) { 2 } else { 1 };
        format!("{}(exit code {code})\n", printer::failure(error, hint::of(error)))
    });
    (printer.captured() + &failed.unwrap_or_default()).replace(env!("CARGO_PKG_VERSION"), "VERSION")
}
