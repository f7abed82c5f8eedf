use super::*;

fn read(config: &str) -> Checked<Reached> {
    let device = format!(
        "kind: Device\nmetadata: {{name: d}}\nspec:\n  protocol: {{protocolName: modbus, configData: {config}}}\n  properties: []\n"
    );
    let device = mapper_framework::devices(&device, "modbus").unwrap().remove(0);
    Reached::read(device.config())
}

fn ok(config: &str) -> Reached {
    read(config).value.unwrap()
}

fn wrong(config: &str) -> Vec<String> {
    let problems = read(config).value.unwrap_err();
    problems.iter().map(|problem| problem.strip_prefix("protocol.configData.").unwrap().to_owned()).collect()
}

fn network(host: &str, port: u16, framing: Framing) -> Line {
    Line::Network { host: host.to_owned(), port, framing }
}

#[test]
fn stocks_manifests_are_understood() {
    let demo = ok("{communicateMode: TCP, port: '5502', slaveID: 1, ip: 10.244.1.13}");
    assert_eq!((demo.line, demo.slave), (network("10.244.1.13", 5502, Framing::Tcp), 1));
    let website = ok("{ip: 172.17.0.3, port: 1502}");
    assert_eq!((website.line, website.slave), (network("172.17.0.3", 1502, Framing::Tcp), 1));
    let serial =
        ok("{slaveID: 1, serialPort: /dev/ttyS0, baudRate: 115200, dataBits: 8, parity: even, stopBits: 1}");
    let port = Serial {
        path: "/dev/ttyS0".into(),
        baud: 115_200,
        parity: Parity::Even,
        stop_bits: 1,
        is_rs485: false,
    };
    assert_eq!(serial.line, Line::Serial(port.clone()));
    let texts = "{SerialPort: /dev/ttyS0, DataBits: '8', BaudRate: '115200', Parity: E, StopBits: '1', DeviceID: x, SlaveID: '3'}";
    assert_eq!((ok(texts).line, ok(texts).slave), (Line::Serial(port.clone()), 3));
    let nested = "{modbus: {slaveID: 9}, common: {com: {serialPort: /dev/ttyS0, baudRate: 115200, parity: even}, \
                  customizedValues: {serialType: RS485}}}";
    assert_eq!(ok(nested).line, Line::Serial(Serial { is_rs485: true, ..port.clone() }));
    let newest = "{communicateMode: RTU, serialName: /dev/ttyS0, baudRate: 115200, parity: Even, rs485Enabled: true, slaveID: 2}";
    assert_eq!(ok(newest).line, Line::Serial(Serial { is_rs485: true, ..port }));
    assert_eq!(
        ok("{com: {commType: tcp}, tcp: {ip: plc, port: 502}}").line,
        network("plc", 502, Framing::Tcp)
    );
    assert_eq!(read(nested).unread, [] as [&str; 0]);
}

#[test]
fn what_is_not_said_is_as_usual() {
    let least = ok("{serialPort: /dev/ttyUSB0, slaveID: 7}");
    assert_eq!(least.line.to_string(), "/dev/ttyUSB0 at 19200 8N1");
    assert_eq!((least.timeout, least.limits), (Duration::from_secs(1), Limits { most_words: 125, gap: 0 }));
    let all = ok("{mode: RTUoverTCP, host: '::1', unitID: 247, timeout: 250, maxRegisters: 32, maxGap: 4}");
    assert_eq!(all.line, network("::1", 502, Framing::Rtu));
    assert_eq!((all.line.to_string().as_str(), all.slave), ("[::1]:502", 247));
    assert_eq!((all.timeout, all.limits), (Duration::from_millis(250), Limits { most_words: 32, gap: 4 }));
}

#[test]
fn a_timeout_of_stocks_first_mapper_is_in_nanoseconds() {
    assert_eq!(ok("{ip: a, timeout: 2000000000}").timeout, Duration::from_secs(2));
    assert_eq!(ok("{ip: a, timeout: 0}").timeout, TIMEOUT);
    assert_eq!(wrong("{ip: a, timeout: 5}"), ["timeout: 5 is none of 10 to 60000 milliseconds"]);
}

#[test]
fn everything_wrong_is_said_at_once_and_where() {
    assert_eq!(
        wrong(
            "{common: {com: {serialPort: ttyUSB0, baudRate: fast, dataBits: 7, parity: both, stopBits: 3}}, slaveID: 0, maxGap: x}"
        ),
        [
            "common.com.serialPort: \"ttyUSB0\" is no port: one is a path below /dev, such as /dev/ttyUSB0",
            "common.com.baudRate: \"fast\" is no whole number from 50 to 4000000",
            "common.com.dataBits: RTU sends bytes: 8",
            "common.com.parity: \"both\" is none of none, even, odd, N, E, O",
            "common.com.stopBits: 3 is no whole number from 1 to 2",
            "slaveID: 0 is no whole number from 1 to 247",
            "maxGap: \"x\" is no whole number from 0 to 120",
        ]
    );
    assert_eq!(
        wrong("{port: 0, timeout: -1}"),
        [
            "communicateMode: is missing: TCP with ip and port, or RTU with serialPort",
            "slaveID: is missing: the address of the device on its line, 1 to 247",
            "timeout: -1 is no whole number from 0 to 9223372036854775807",
        ]
    );
    assert_eq!(
        wrong("{communicateMode: UDP, slaveID: 1}"),
        ["communicateMode: \"UDP\" is none of TCP, RTU, RTUoverTCP, serial, com"]
    );
    assert_eq!(wrong("{communicateMode: TCP}"), ["ip: is missing: the address or name of the device"]);
    assert_eq!(
        wrong("{communicateMode: RTU, slaveID: 1}"),
        ["serialPort: is missing: the port, such as /dev/ttyUSB0"]
    );
    assert_eq!(
        wrong("{ip: a, serialPort: /dev/ttyS0, slaveID: 1}"),
        ["communicateMode: is missing, and both ip and serialPort are there: TCP or RTU"]
    );
}

#[test]
fn no_other_file_than_a_device_is_ever_opened() {
    for path in ["/etc/shadow", "/dev/../etc/shadow", "dev/ttyS0", "C:1"] {
        let problems = wrong(&format!("{{serialPort: '{path}', slaveID: 1}}"));
        assert!(problems.len() == 1 && problems[0].contains("is no port"), "{path}: {problems:?}");
    }
}

#[test]
fn between_frames_a_line_is_silent_for_as_long_as_the_standard_says() {
    let silence =
        |baud| ok(&format!("{{serialPort: /dev/ttyS0, slaveID: 1, baudRate: {baud}}}")).line.silence();
    assert_eq!(silence(9600).as_micros(), 4010);
    assert_eq!(silence(19_200).as_micros(), 2005);
    assert_eq!(silence(115_200), Duration::from_micros(1750));
    assert_eq!(network("a", 1, Framing::Tcp).silence(), Duration::ZERO);
}
