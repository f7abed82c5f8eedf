//! Modbus RTU on a pseudo-terminal: several devices on one line, late answers, and a line that is taken away.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use mapper_framework::{Driver as _, Value};
use modbus_mapper::Lines;
use serial2::SerialPort;

use crate::{Driven, device};

/// Both ends of a line.
pub(crate) struct Pty {
    /// The devices' end.
    pub(crate) far: SerialPort,
    /// The mapper's end, held open: without it the far end would see the line go away each time the mapper closes it.
    near: SerialPort,
}

impl Pty {
    pub(crate) fn new() -> Self {
        let (far, near) = SerialPort::pair().unwrap();
        Self { far, near }
    }

    /// Path of the mapper's end.
    pub(crate) fn path(&self) -> PathBuf {
        std::fs::read_link(format!("/proc/self/fd/{}", self.near.as_raw_fd())).unwrap()
    }
}

/// The check of a frame (Modbus over Serial Line 1.02, 6.2.2).
fn crc(frame: &[u8]) -> [u8; 2] {
    let mut crc = 0xFFFF_u16;
    for byte in frame {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
        }
    }
    crc.to_le_bytes()
}

/// What devices on a line do: holding register `n` of device `s` is `100 * s + n`, unless it was set.
#[derive(Default)]
struct Bus {
    set: HashMap<(u8, u16), u16>,
    /// Devices that are there.
    slaves: Vec<u8>,
    /// Their next answer comes so much later.
    late: Vec<(u8, Duration)>,
    asked: Vec<u8>,
    /// Bytes that came while an answer was on its way: somebody did not wait for their turn.
    collisions: usize,
}

/// Devices on a line. They end when the line does.
struct Devices {
    bus: Arc<Mutex<Bus>>,
    _thread: JoinHandle<()>,
}

impl Devices {
    fn on(line: &Pty, slaves: &[u8]) -> Self {
        let bus = Arc::new(Mutex::new(Bus { slaves: slaves.to_vec(), ..Bus::default() }));
        let mut far = line.far.try_clone().unwrap();
        far.set_read_timeout(Duration::from_secs(3600)).unwrap();
        let own = Arc::clone(&bus);
        let thread = std::thread::spawn(move || while serve(&far, &own).is_ok() {});
        Self { bus, _thread: thread }
    }

    fn set(&self, change: impl FnOnce(&mut Bus)) {
        change(&mut self.bus.lock().unwrap());
    }
}

/// One question and its answer.
fn serve(line: &SerialPort, bus: &Mutex<Bus>) -> io::Result<()> {
    let mut frame = vec![0; 7];
    line.read_exact(&mut frame)?;
    let (slave, function) = (frame[0], frame[1]);
    let rest = if function == 0x10 { usize::from(frame[6]) + 2 } else { 1 };
    let mut more = vec![0; rest];
    line.read_exact(&mut more)?;
    frame.extend(more);
    let (body, check) = frame.split_at(frame.len() - 2);
    assert_eq!(check, crc(body), "{frame:x?}");
    let mut early = line.try_clone()?;
    early.set_read_timeout(Duration::from_millis(1))?;
    let collided = early.read(&mut [0; 256]).unwrap_or(0);
    let (answer, late) = {
        let mut bus = bus.lock().unwrap();
        bus.collisions += collided;
        bus.asked.push(slave);
        if !bus.slaves.contains(&slave) {
            return Ok(());
        }
        let late = bus.late.iter().position(|(late, _)| *late == slave);
        (bus.answer(body), late.map(|at| bus.late.remove(at).1))
    };
    let frame = [answer.as_slice(), &crc(&answer)].concat();
    let Some(late) = late else { return line.write_all(&frame) };
    // A late device does not keep others from hearing what is said meanwhile.
    let line = line.try_clone()?;
    std::thread::spawn(move || {
        std::thread::sleep(late);
        line.write_all(&frame)
    });
    Ok(())
}

impl Bus {
    fn answer(&mut self, body: &[u8]) -> Vec<u8> {
        let (slave, function) = (body[0], body[1]);
        let word = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        let (start, second) = (word(2), word(4));
        match function {
            3 => {
                let words = (start..start + second).flat_map(|at| self.word(slave, at).to_be_bytes());
                let words: Vec<u8> = words.collect();
                [&[slave, function, u8::try_from(words.len()).unwrap()], words.as_slice()].concat()
            }
            6 => {
                self.set.insert((slave, start), second);
                body.to_vec()
            }
            0x10 => {
                for at in 0..second {
                    self.set.insert((slave, start + at), word(7 + 2 * usize::from(at)));
                }
                body[..6].to_vec()
            }
            _ => vec![slave, function | 0x80, 1],
        }
    }

    fn word(&self, slave: u8, at: u16) -> u16 {
        self.set.get(&(slave, at)).copied().unwrap_or(u16::from(slave) * 100 + at)
    }
}

fn on(path: &std::path::Path, slave: u8, lines: &Lines) -> Driven {
    let config = format!(
        "{{communicateMode: RTU, serialPort: {}, slaveID: {slave}, baudRate: 115200, parity: none, timeout: 300}}",
        path.display()
    );
    let properties = [
        ("a", "INT", "{register: HoldingRegister, offset: 1}"),
        ("b", "INT", "{register: HoldingRegister, offset: 2, limit: 2}"),
    ];
    Driven::new(lines, device(&format!("d{slave}"), &config, &properties))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_devices_take_turns_on_one_line() {
    let line = Pty::new();
    let devices = Devices::on(&line, &[1, 2, 3, 4, 5]);
    let lines = Lines::default();
    let mut tasks = tokio::task::JoinSet::new();
    for slave in 1..=5_u8 {
        let mut driven = on(&line.path(), slave, &lines);
        tasks.spawn(async move {
            driven.connect().await.unwrap();
            for round in 0..20_i32 {
                let wanted = i64::from(slave) * 1000 + i64::from(round);
                driven.write("a", wanted).await.unwrap();
                driven.write("b", wanted * 50).await.unwrap();
                let read: Vec<_> = driven.read_all().await.into_iter().map(Result::unwrap).collect();
                assert_eq!(
                    read,
                    [Value::Int(wanted), Value::Int(wanted * 50)],
                    "device {slave}, round {round}"
                );
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    devices.set(|bus| {
        // A probe each, and in each round two writings and one reading.
        assert_eq!(bus.asked.len(), 5 * (1 + 20 * 3));
        assert_eq!(bus.collisions, 0);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_is_nobody_elses() {
    let line = Pty::new();
    let devices = Devices::on(&line, &[1, 2]);
    let lines = Lines::default();
    let (mut one, mut two) = (on(&line.path(), 1, &lines), on(&line.path(), 2, &lines));
    one.connect().await.unwrap();
    two.connect().await.unwrap();
    // After it was given up, and while another is asked.
    devices.set(|bus| bus.late = vec![(1, Duration::from_millis(520)), (2, Duration::from_millis(200))]);
    let late = one.read("a").await.unwrap_err();
    assert!(
        late.is_lost() && late.to_string().contains("no answer within 300ms: check slaveID, wires"),
        "{late}"
    );
    for _ in 0..3 {
        assert_eq!(two.read("a").await.unwrap(), Value::Int(201));
    }
    one.connect().await.unwrap();
    assert_eq!(one.read("b").await.unwrap(), Value::Int((102 << 16) + 103));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_dropped_leaves_the_line_to_others() {
    let line = Pty::new();
    let devices = Devices::on(&line, &[1, 2]);
    let lines = Lines::default();
    let (mut one, mut two) = (on(&line.path(), 1, &lines), on(&line.path(), 2, &lines));
    one.connect().await.unwrap();
    two.connect().await.unwrap();
    devices.set(|bus| bus.late.push((1, Duration::from_millis(100))));
    let property = one.device.property("a").unwrap();
    tokio::time::timeout(Duration::from_millis(50), one.driver.read(property)).await.unwrap_err();
    assert_eq!(two.read("a").await.unwrap(), Value::Int(201));
    assert_eq!(one.read("a").await.unwrap(), Value::Int(101));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_not_there_keeps_nobody_from_the_line() {
    let line = Pty::new();
    let _devices = Devices::on(&line, &[1]);
    let lines = Lines::default();
    let (mut there, mut gone) = (on(&line.path(), 1, &lines), on(&line.path(), 7, &lines));
    let both = tokio::join!(gone.connect(), there.connect());
    assert!(both.0.unwrap_err().is_lost());
    both.1.unwrap();
    assert_eq!(there.read("a").await.unwrap(), Value::Int(101));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_taken_away_is_gone_and_comes_back_under_its_name() {
    let dir = tempfile::Builder::new().prefix("modbus-").tempdir_in("/dev/shm").unwrap();
    let name = dir.path().join("ttyUSB0");
    let lines = Lines::default();
    let mut driven = on(&name, 1, &lines);
    let missing = driven.connect().await.unwrap_err().to_string();
    assert!(missing.contains("the port is not there; is the adapter plugged in?"), "{missing}");
    let line = Pty::new();
    let devices = Devices::on(&line, &[1]);
    std::os::unix::fs::symlink(line.path(), &name).unwrap();
    driven.connect().await.unwrap();
    assert_eq!(driven.read("a").await.unwrap(), Value::Int(101));
    // Another adapter in its place.
    devices.set(|bus| bus.slaves.clear());
    assert!(driven.read("a").await.unwrap_err().is_lost());
    let other = Pty::new();
    let _devices = Devices::on(&other, &[1]);
    std::fs::remove_file(&name).unwrap();
    drop(line);
    std::os::unix::fs::symlink(other.path(), &name).unwrap();
    driven.driver.disconnect().await;
    driven.connect().await.unwrap();
    assert_eq!(driven.read("a").await.unwrap(), Value::Int(101));
}
