//! A broker of MQTT, mosquitto from Debian's packages, and what it was told.
#![cfg(feature = "mqtt")]

use super::process::{Ending, PATIENCE, lines_from, until, until_all};
use super::*;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

fn mosquitto() -> Option<&'static str> {
    let places = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
    let found = places.into_iter().find(|path| Path::new(path).exists());
    // `cargo xtask test` installs it, and sets this.
    let needed = std::env::var_os("MTSLVR_MOSQUITTO").is_some();
    assert!(found.is_some() || !needed, "mosquitto is not installed");
    if found.is_none() {
        eprintln!("not tested: mosquitto is not installed");
    }
    found
}

struct Broker {
    process: Option<Ending>,
    port: u16,
    config: PathBuf,
}

impl Broker {
    /// Begins one that has `lines` in its configuration, but does not start it.
    fn new(folder: &Path, lines: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        let config = folder.join("mosquitto.conf");
        // Where it is started as root, it would go on as a user that may not read this folder.
        let text = format!("user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n{lines}");
        fs::write(&config, text).unwrap();
        Self {
            process: None,
            port,
            config,
        }
    }

    fn start(&mut self) {
        let mut command = Command::new(mosquitto().unwrap());
        command.arg("-c").arg(&self.config).stderr(Stdio::null());
        self.process = Some(Ending(command.spawn().unwrap()));
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begin.elapsed() < PATIENCE, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.port)
    }

    /// Lines of `topic payload`, from now on and those that are retained.
    fn messages(&self) -> (Ending, Receiver<String>) {
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "localhost", "-v", "-t", "#", "-p"]);
        command.arg(self.port.to_string());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines_from(child.stdout.take().unwrap());
        (Ending(child), lines)
    }
}

fn listening(bench: &Bench, url: &str, more: &[&str]) -> (Ending, Receiver<String>) {
    let mut command = bench.mtslvr(&["listen", "-", "--plain", "--mqtt", url]);
    command.args(more).stdin(Stdio::piped());
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let notes = lines_from(child.stderr.take().unwrap());
    (Ending(child), notes)
}

#[test]
fn a_broker_is_told_of_each_sound_and_home_assistant_finds_them() {
    if mosquitto().is_none() {
        return;
    }
    let bench = Bench::new();
    bench.enrol("door bell", 0, 0..5);
    bench.enrol("beep", 1, 0..5);
    let mut broker = Broker::new(bench.root.path(), "persistence false\n");
    broker.start();
    let (_subscriber, messages) = broker.messages();
    let name = ["--mqtt-name", "kitchen"];
    let (mut listen, notes) = listening(&bench, &broker.url("mqtt"), &name);
    until(&notes, "MQTT: connected to mqtt://localhost");
    // A subscriber that comes late gets what is retained in an order of the broker's own.
    let first = [
        "homeassistant/binary_sensor/mtslvr_kitchen/0/config",
        "homeassistant/binary_sensor/mtslvr_kitchen/1/config",
        "mtslvr/kitchen/status online",
        "mtslvr/kitchen/0/state OFF",
        "mtslvr/kitchen/1/state OFF",
    ];
    until_all(&messages, &first);

    let mut stdin = listen.0.stdin.take().unwrap();
    stdin.write_all(&pcm(&bench.scene(&[0, 1]))).unwrap();
    drop(stdin);
    let told = until(&messages, "mtslvr/kitchen/status offline");
    let states: Vec<&str> = told
        .iter()
        .filter(|line| line.contains("/state O"))
        .map(String::as_str)
        .collect();
    let [bell, beep] = ["0", "1"].map(|id| format!("mtslvr/kitchen/{id}/state"));
    let wanted = [
        format!("{bell} ON"),
        format!("{bell} OFF"),
        format!("{beep} ON"),
        format!("{beep} OFF"),
    ];
    assert_eq!(states.get(..4).unwrap_or(&states), wanted, "{told:#?}");
    // At the end all are off once more.
    assert!(states[4..].iter().all(|state| state.ends_with("OFF")));
    let attributes = told
        .iter()
        .find_map(|line| line.strip_prefix("mtslvr/kitchen/0/attributes "));
    let attributes: Value = serde_json::from_str(attributes.unwrap()).unwrap();
    assert_eq!(
        (&attributes["class"], &attributes["event"]),
        (&"door bell".into(), &"begin".into())
    );
    assert!(attributes["score"].as_f64() >= attributes["threshold"].as_f64());
    assert!(listen.0.wait().unwrap().success());
}

/// The command of `--exec` cannot be started, because no shell is found: listening ends while the sound is on.
#[cfg(unix)]
#[test]
fn a_broker_is_told_when_listening_ends_by_an_error() {
    if mosquitto().is_none() {
        return;
    }
    let bench = Bench::new();
    bench.enrol("beep", 1, 0..5);
    let mut broker = Broker::new(bench.root.path(), "persistence false\n");
    broker.start();
    let (_subscriber, messages) = broker.messages();
    let url = broker.url("mqtt");
    let mut command = bench.mtslvr(&["listen", "-", "--json", "--exec", "true", "--mqtt", &url]);
    command.env("PATH", bench.root.path()).stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut listen = Ending(command.spawn().unwrap());
    until(&messages, "mtslvr/listener/0/state OFF");
    let mut stdin = listen.0.stdin.take().unwrap();
    // It may have left before it has read everything.
    let _ = stdin.write_all(&pcm(&bench.scene(&[1])));
    let told = until(&messages, "mtslvr/listener/status offline");
    let states: Vec<&String> = told
        .iter()
        .filter(|line| line.contains("/state O"))
        .collect();
    let [on, off] = ["ON", "OFF"].map(|to| format!("mtslvr/listener/0/state {to}"));
    assert_eq!(states, [&on, &off], "{told:#?}");
    assert_eq!(listen.0.wait().unwrap().code(), Some(1));
}

#[test]
fn a_broker_that_goes_and_comes_is_told_again_and_of_a_listener_that_broke_off() {
    if mosquitto().is_none() {
        return;
    }
    let bench = Bench::new();
    bench.enrol("beep", 1, 0..5);
    let mut broker = Broker::new(bench.root.path(), "persistence false\n");
    let (listen, notes) = listening(&bench, &broker.url("mqtt"), &[]);
    until(&notes, "it is tried again");
    broker.start();
    until(&notes, "MQTT: connected");
    {
        let (_subscriber, messages) = broker.messages();
        until(&messages, "mtslvr/listener/status online");
    }
    broker.process = None;
    until(&notes, "it is tried again");
    broker.start();
    until(&notes, "MQTT: connected");
    let (_subscriber, messages) = broker.messages();
    until(&messages, "mtslvr/listener/0/state OFF");
    // A sound with another name keeps its sensor; one that is taken away goes.
    bench.succeeds(&["classes", "rename", "beep", "ping"]);
    let told = until(&messages, "\"name\":\"ping\"");
    assert!(told.last().unwrap().contains("mtslvr_listener/0/config"));
    bench.enrol("other", 2, 0..5);
    until(&messages, "mtslvr/listener/1/state OFF");
    bench.succeeds(&["classes", "delete", "other"]);
    let gone = |line: &String| {
        line.trim_end() == "homeassistant/binary_sensor/mtslvr_listener/1/config (null)"
    };
    let told = until(&messages, "(null)");
    assert!(told.iter().any(gone), "{told:#?}");
    drop(listen);
    until(&messages, "mtslvr/listener/status offline");
}

#[test]
fn a_broker_with_tls_is_known_by_its_certificate() {
    let openssl = Command::new("openssl").arg("version").output();
    if mosquitto().is_none() || openssl.is_err() {
        return;
    }
    let bench = Bench::new();
    bench.enrol("beep", 1, 0..5);
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "broker.pem"])
        .current_dir(bench.root.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let at = |name: &str| bench.path(name).to_str().unwrap().to_owned();
    let lines = format!("certfile {}\nkeyfile {}\n", at("broker.pem"), at("key.pem"));
    let mut broker = Broker::new(bench.root.path(), &lines);
    broker.start();
    let (_listen, notes) = listening(&bench, &broker.url("mqtts"), &["--mqtt-ca", "broker.pem"]);
    until(&notes, "MQTT: connected to mqtts://localhost");
    // Nobody else's: one that nobody vouches for is refused, and said so.
    let other = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=other",
        ])
        .args(["-keyout", "other-key.pem", "-out", "other.pem"])
        .current_dir(bench.root.path())
        .output()
        .unwrap();
    assert!(other.status.success());
    let (_listen, notes) = listening(&bench, &broker.url("mqtts"), &["--mqtt-ca", "other.pem"]);
    let said = until(&notes, "it is tried again");
    assert!(said.last().unwrap().contains("ertificate"), "{said:?}");
}

/// Reads a packet of MQTT: its first byte, and what follows its length.
fn packet(from: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = || {
        let mut byte = [0];
        from.read_exact(&mut byte).ok().map(|()| byte[0])
    };
    let first = byte()?;
    let mut length = 0;
    for place in 0.. {
        let part = byte()?;
        length |= usize::from(part & 0x7f) << (7 * place);
        if part & 0x80 == 0 {
            break;
        }
    }
    let mut rest = vec![0; length];
    from.read_exact(&mut rest).ok()?;
    Some((first, rest))
}

/// A connection that is closed while an acknowledgement is on its way is reset, and a slow broker then loses what it was
/// told last.
#[test]
fn a_broker_is_left_when_it_has_acknowledged_everything() {
    let bench = Bench::new();
    bench.enrol("beep", 1, 0..5);
    let place = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", place.local_addr().unwrap());
    let (mut listen, notes) = listening(&bench, &url, &[]);
    let (mut stream, _) = place.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(packet(&mut stream).unwrap().0, 0x10, "CONNECT");
    stream.write_all(&[0x20, 2, 0, 0]).unwrap();
    let (mut held, mut topics) = (Vec::new(), Vec::new());
    let left = loop {
        let Some((first, rest)) = packet(&mut stream) else {
            panic!(
                "it left out of order, after {topics:?}: {:?}",
                notes.try_iter().collect::<Vec<_>>()
            );
        };
        match first >> 4 {
            3 => {
                let end = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                let topic = String::from_utf8(rest[2..end].to_vec()).unwrap();
                let payload = String::from_utf8_lossy(&rest[end + 2..]).into_owned();
                held.push([rest[end], rest[end + 1]]);
                topics.push(topic);
                match &*payload {
                    "online" => {
                        let mut stdin = listen.0.stdin.take().unwrap();
                        stdin.write_all(&[0; 32_000]).unwrap();
                    }
                    "offline" => {
                        std::thread::sleep(Duration::from_millis(300));
                        for [high, low] in held.drain(..) {
                            stream.write_all(&[0x40, 2, high, low]).unwrap();
                        }
                    }
                    _ => {}
                }
            }
            14 => break held.len(),
            other => panic!("packet {other}"),
        }
    };
    assert_eq!(left, 0, "it left before {topics:?} were acknowledged");
    assert!(listen.0.wait().unwrap().success());
}

#[test]
fn brokers_that_cannot_be_are_named() {
    let bench = Bench::new();
    bench.enrol("beep", 1, 0..5);
    let scene = bench.path("scene.wav");
    write_wav(&scene, &bench.scene(&[1]), RATE).unwrap();
    bench.fails(
        &["listen", "scene.wav", "--mqtt", "http://h"],
        &["--mqtt", "http", "mqtts://"],
    );
    let named = [
        "listen",
        "scene.wav",
        "--mqtt",
        "mqtt://h",
        "--mqtt-name",
        "a/b",
    ];
    bench.fails(&named, &["--mqtt-name", "a/b"]);
    fs::write(bench.path("empty.pem"), "none").unwrap();
    let empty = [
        "listen",
        "scene.wav",
        "--mqtt",
        "mqtts://h",
        "--mqtt-ca",
        "empty.pem",
    ];
    bench.fails(&empty, &["empty.pem", "BEGIN CERTIFICATE"]);
    let plain = [
        "listen",
        "scene.wav",
        "--mqtt",
        "mqtt://h",
        "--mqtt-ca",
        "empty.pem",
    ];
    bench.fails(&plain, &["--mqtt-ca", "mqtts://"]);
    // One that is not there holds nothing up.
    let heard = bench.succeeds(&[
        "listen",
        "scene.wav",
        "--json",
        "--mqtt",
        "mqtt://localhost:1",
    ]);
    assert_eq!(classes_of(&events(&heard)), ["beep"]);
}
