//! Push into MySQL or MariaDB, into stock's tables: `<namespace>/<device>/<property>` with a number, a time (UTC) and a text.
//!
//! Values are parameters of a prepared statement, and names are quoted, so that neither can say anything else. A batch is one
//! transaction: after a connection that broke nothing of it is there, or all of it. MySQL's names have 64 characters; a property
//! whose table would need more is refused.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use futures::future::BoxFuture;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, Params, SslOpts, Value as Sql};

use super::target::time;
use super::{Push, Sample, Sink, SinkError, partly};
use crate::address::{Address, Schemes};
use crate::tls::Trust;

const SCHEMES: Schemes =
    Schemes { plain: &["mysql", "tcp"], tls: &["mysqls", "tls"], port: 3306, tls_port: 3306 };
/// Tables that are known to be there; past this many they are looked at again.
const KNOWN: usize = 4096;
/// Longest name of a table, in characters.
const MAX_NAME: usize = 64;
/// There is no such table: somebody has dropped it.
const NO_TABLE: u16 = 1146;
/// The server's numbers for "not now", whatever was asked: too many connections, disk full, shutting down, no privileges or no
/// such database yet, waited too long for a lock, deadlock, interrupted, killed, read-only.
const NOT_NOW: [u16; 15] =
    [1021, 1040, 1044, 1045, 1049, 1053, 1114, 1203, 1205, 1213, 1290, 1317, 1836, 1927, 3169];

/// See the module's documentation.
pub(super) struct MySql {
    options: Opts,
    connection: Option<Conn>,
    /// Tables that are known to be there.
    made: HashSet<String>,
}

impl MySql {
    pub(super) fn new(
        address: &str,
        database: &str,
        (user, password): (&str, &str),
        trust: &Trust,
    ) -> Result<Self, SinkError> {
        let Address { host, port, is_tls } = SCHEMES.read(address).map_err(SinkError::Refused)?;
        let tls = is_tls.then(|| ssl(trust)).transpose()?;
        let options = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port)
            .user(Some(user))
            .pass(Some(password))
            .db_name(Some(database))
            // Otherwise it would go to whatever socket a server on this machine names.
            .prefer_socket(false)
            .ssl_opts(tls);
        Ok(Self { options: options.into(), connection: None, made: HashSet::new() })
    }

    async fn push_all(&mut self, batch: &[Push]) -> Result<(), SinkError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Conn::new(self.options.clone()).await.map_err(away)?,
        };
        let pushed = self.insert(&mut connection, batch).await;
        if !matches!(pushed, Err(SinkError::Unreachable(_))) {
            self.connection = Some(connection);
        }
        pushed
    }

    async fn insert(&mut self, connection: &mut Conn, batch: &[Push]) -> Result<(), SinkError> {
        let mut tables: BTreeMap<String, Vec<&Sample>> = BTreeMap::new();
        for push in batch {
            tables.entry(table(&push.sample)).or_default().push(&push.sample);
        }
        let mut refused = Refused::default();
        // A table that is made ends a transaction, so they are made before it begins.
        let mut there = Vec::new();
        for (table, samples) in &tables {
            match self.make(connection, table).await {
                Ok(()) => there.push((table, samples)),
                Err(why) => refused.note(samples.len(), why?),
            }
        }
        connection.query_drop("START TRANSACTION").await.map_err(away)?;
        for (table, samples) in there {
            let inserted = connection.exec_drop(insert(table, samples.len()), values(samples)).await;
            if let Err(error) = inserted {
                if number(&error) == Some(NO_TABLE) {
                    self.made.clear();
                    return Err(away(error));
                }
                refused.note(samples.len(), verdict(error)?);
            }
        }
        connection.query_drop("COMMIT").await.map_err(away)?;
        partly(refused.values, batch.len(), refused.why)
    }

    /// Makes a table that is not there. `Err(Ok(why))` when it cannot be.
    async fn make(&mut self, connection: &mut Conn, table: &str) -> Result<(), Result<String, SinkError>> {
        if self.made.contains(table) {
            return Ok(());
        }
        if table.chars().count() > MAX_NAME {
            return Err(Ok(format!(
                "{table:?} is no name of a table: it has more than {MAX_NAME} characters"
            )));
        }
        connection.query_drop(create(table)).await.map_err(verdict)?;
        if self.made.len() >= KNOWN {
            self.made.clear();
        }
        self.made.insert(table.to_owned());
        Ok(())
    }
}

impl Sink for MySql {
    fn push<'a>(&'a mut self, batch: &'a [Push]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.push_all(batch))
    }
}

/// What of a batch was not taken, and why.
#[derive(Default)]
struct Refused {
    values: usize,
    why: Option<String>,
}

impl Refused {
    fn note(&mut self, values: usize, why: String) {
        self.values += values;
        self.why = Some(why);
    }
}

/// TLS with whom this mapper trusts, and none of those that the client brings along.
fn ssl(trust: &Trust) -> Result<SslOpts, SinkError> {
    let certificates = trust.certificates().map_err(SinkError::Refused)?;
    let roots = certificates.iter().map(|certificate| certificate.to_vec().into()).collect();
    Ok(SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots))
}

fn away(error: mysql_async::Error) -> SinkError {
    SinkError::Unreachable(error.to_string())
}

fn number(error: &mysql_async::Error) -> Option<u16> {
    match error {
        mysql_async::Error::Server(error) => Some(error.code),
        _ => None,
    }
}

/// Why values are refused; an error when the server is away, or would take them later.
fn verdict(error: mysql_async::Error) -> Result<String, SinkError> {
    match number(&error) {
        Some(number) if !NOT_NOW.contains(&number) => Ok(error.to_string()),
        _ => Err(away(error)),
    }
}

fn table(sample: &Sample) -> String {
    format!("{}/{}/{}", sample.namespace, sample.device, sample.property)
}

/// A name in a statement, which cannot end before its end.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn create(table: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (id INT AUTO_INCREMENT PRIMARY KEY, ts DATETIME NOT NULL, field TEXT)",
        quoted(table)
    )
}

fn insert(table: &str, rows: usize) -> String {
    format!("INSERT INTO {} (ts, field) VALUES {}", quoted(table), vec!["(?, ?)"; rows].join(", "))
}

fn values(samples: &[&Sample]) -> Params {
    let row = |sample: &&Sample| [Sql::from(time(sample.at)), Sql::from(sample.value.to_string())];
    Params::Positional(samples.iter().flat_map(row).collect())
}
