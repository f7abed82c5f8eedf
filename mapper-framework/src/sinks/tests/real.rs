//! Against real servers, started here: `redis-server` and MariaDB (Debian: `redis-server`, `mariadb-server`), plain and over TLS.
//! They are no part of `make deps`, for they are large: `cargo test -p mapper-framework --lib -- --ignored real_servers`.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::tls::tests::Authority;

/// A server, as long as a test needs it.
struct Server {
    child: Child,
    dir: TempDir,
    port: u16,
    tls_port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn path(&self, name: &str) -> String {
        path(&self.dir, name)
    }

    async fn listens(&mut self) {
        let address = ("127.0.0.1", self.port);
        let wait = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                assert!(self.child.try_wait().unwrap().is_none(), "the server has ended");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the server listens");
    }
}

fn path(dir: &TempDir, name: &str) -> String {
    dir.path().join(name).to_str().unwrap().to_owned()
}

/// Two ports that are free now.
fn ports() -> (u16, u16) {
    let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (one, two) = (listen(), listen());
    (one.local_addr().unwrap().port(), two.local_addr().unwrap().port())
}

fn start(command: &mut Command) -> Child {
    let name = command.get_program().to_owned();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.unwrap_or_else(|error| panic!("{name:?} (see the top of this file): {error}"))
}

/// What a program prints.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}{error}");
    out.into_owned()
}

fn sink(target: &Target, trust: Trust) -> Box<dyn Sink> {
    let secrets = Secrets { password: "secret".into(), ..Secrets::default() };
    open(target, &Means { secrets, trust }, &Rng::seeded(1)).unwrap()
}

fn batch(count: i64) -> Vec<Push> {
    (0..count)
        .map(|number| {
            let mut push = push(number, dmi::PushMethod::default());
            push.sample.at += number;
            push
        })
        .collect()
}

/// How many values a second one connection takes.
async fn rate(what: &str, sink: &mut dyn Sink) {
    let (batch, start) = (batch(BATCH as i64), tokio::time::Instant::now());
    for _ in 0..100 {
        sink.push(&batch).await.unwrap();
    }
    let passed = start.elapsed();
    println!("{what}: {} values in {passed:?}", 100 * BATCH);
}

async fn redis(authority: &Authority) -> Server {
    let (dir, (port, tls_port)) = (TempDir::new().unwrap(), ports());
    authority.write(dir.path(), "127.0.0.1");
    let mut command = Command::new("redis-server");
    command.args([
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--requirepass",
        "secret",
        "--tls-auth-clients",
        "no",
    ]);
    command.args(["--port", &port.to_string(), "--tls-port", &tls_port.to_string()]);
    command.args(["--tls-cert-file", &path(&dir, "server.crt"), "--tls-key-file", &path(&dir, "server.key")]);
    command.args(["--tls-ca-cert-file", &path(&dir, "ca.crt"), "--dir", dir.path().to_str().unwrap()]);
    let mut server = Server { child: start(&mut command), dir, port, tls_port };
    server.listens().await;
    server
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn real_servers_redis() {
    let authority = Authority::new();
    let server = redis(&authority).await;
    let cli = |arguments: &[&str]| {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &server.port.to_string(), "-a", "secret", "--no-auth-warning", "-n", "2"]);
        output(command.args(arguments))
    };
    for address in [format!("127.0.0.1:{}", server.port), format!("rediss://127.0.0.1:{}", server.tls_port)] {
        cli(&["FLUSHALL"]);
        let target = Target::Redis { address: address.clone(), database: 2 };
        let mut sink = sink(&target, authority.trust());
        sink.push(&batch(3)).await.unwrap();
        // The same again changes nothing.
        sink.push(&batch(3)).await.unwrap();
        let members = cli(&["ZRANGE", "d", "0", "-1", "WITHSCORES"]);
        println!("{address}\n{members}");
        assert_eq!(members.lines().count(), 6);
        assert!(members.ends_with("1767323045002\n\n") || members.ends_with("1767323045002\n"), "{members}");
        cli(&["SET", "other", "text"]);
        let mut mixed = batch(2);
        mixed[1].sample.device = "other".into();
        let partly = sink.push(&mixed).await.unwrap_err();
        assert!(matches!(partly, SinkError::Partly { refused: 1, .. }), "{partly}");
        rate(&address, &mut *sink).await;
        drop(sink);
    }
    let wrong = Target::Redis { address: format!("rediss://127.0.0.1:{}", server.tls_port), database: 2 };
    let stranger = sink(&wrong, Authority::new().trust()).push(&batch(1)).await.unwrap_err();
    println!("{stranger}");
    assert!(matches!(stranger, SinkError::Unreachable(_)));
}

async fn mariadb(authority: &Authority) -> Server {
    let (dir, (port, tls_port)) = (TempDir::new().unwrap(), ports());
    authority.write(dir.path(), "127.0.0.1");
    let data = path(&dir, "data");
    let mut install = Command::new("mariadb-install-db");
    install.args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal"]);
    output(install.args(["--skip-test-db", &format!("--datadir={data}")]));
    let mut command = Command::new("mariadbd");
    command.args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"]);
    for (key, value) in [
        ("datadir", data),
        ("port", port.to_string()),
        ("socket", path(&dir, "db.sock")),
        ("pid-file", path(&dir, "db.pid")),
        ("ssl-ca", path(&dir, "ca.crt")),
        ("ssl-cert", path(&dir, "server.crt")),
        ("ssl-key", path(&dir, "server.key")),
    ] {
        command.arg(format!("--{key}={value}"));
    }
    let mut server = Server { child: start(&mut command), dir, port, tls_port };
    server.listens().await;
    server
}

#[tokio::test]
#[ignore = "needs mariadb-server"]
async fn real_servers_mariadb() {
    let authority = Authority::new();
    let server = mariadb(&authority).await;
    let socket = server.path("db.sock");
    let sql = |statement: &str| {
        let mut command = Command::new("mariadb");
        output(command.args(["--no-defaults", "-u", "root", "-S", &socket, "-N", "-B", "-e", statement]))
    };
    sql(
        "CREATE DATABASE plant; CREATE USER mapper@'%' IDENTIFIED BY 'secret'; GRANT ALL ON plant.* TO mapper@'%'",
    );
    for address in [format!("127.0.0.1:{}", server.port), format!("tls://127.0.0.1:{}", server.port)] {
        sql("DROP DATABASE plant; CREATE DATABASE plant");
        let target =
            Target::MySql { address: address.clone(), database: "plant".into(), user: "mapper".into() };
        let mut sink = sink(&target, authority.trust());
        sink.push(&batch(3)).await.unwrap();
        let rows = sql("SELECT * FROM plant.`ns/d/temperature of it`");
        println!("{address}\n{rows}");
        assert_eq!(rows.lines().count(), 3);
        assert!(rows.starts_with("1\t2026-01-02 03:04:05\t0\n"), "{rows}");
        let mut odd = batch(3);
        odd[0].sample.property = "`; DROP TABLE x; --".into();
        odd[0].sample.value = Value::String("'); DROP TABLE x; -- \\'".into());
        odd[1].sample.property = "x".repeat(80);
        odd[2].sample.value = Value::String("x".repeat(70_000));
        let partly = sink.push(&odd).await.unwrap_err();
        println!("{partly}");
        assert!(matches!(partly, SinkError::Partly { refused: 2, .. }), "{partly}");
        assert_eq!(
            sql("SELECT field FROM plant.`ns/d/``; DROP TABLE x; --`"),
            "'); DROP TABLE x; -- \\\\'\n"
        );
        // Somebody drops a table; the next attempt makes it anew.
        sql("DROP TABLE plant.`ns/d/temperature of it`");
        assert!(matches!(sink.push(&batch(1)).await, Err(SinkError::Unreachable(_))));
        sink.push(&batch(1)).await.unwrap();
        rate(&address, &mut *sink).await;
    }
    let target = Target::MySql {
        address: format!("tls://127.0.0.1:{}", server.port),
        database: "plant".into(),
        user: "mapper".into(),
    };
    let stranger = sink(&target, Authority::new().trust()).push(&batch(1)).await.unwrap_err();
    println!("{stranger}");
    assert!(matches!(stranger, SinkError::Unreachable(_)));
    let _ = server.tls_port;
}
