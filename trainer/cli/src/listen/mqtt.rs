//! Tells an MQTT broker of recognised sounds, with Home Assistant's discovery.
//!
//! | topic | what | retained |
//! |---|---|---|
//! | `mtslvr/NAME/status` | `online`, or `offline` when listening has ended or broken off | yes |
//! | `mtslvr/NAME/ID/state` | `ON` while the sound is heard, else `OFF` | yes |
//! | `mtslvr/NAME/ID/attributes` | JSON of the last one: the fields of a line of `--json` | yes |
//! | `homeassistant/binary_sensor/mtslvr_NAME/ID/config` | discovery: one sensor for each class, all of one device | yes |
//!
//! `ID` is the class's number in the profile, which a new name does not change.

use super::verdict::Known;
use anyhow::{Context, Result, bail, ensure};
use mtslvr_audio::{ShowPath, read_bounded};
use mtslvr_runtime::fewshot::{ClassId, Role};
use rumqttc::{
    Client, Connection, ConnectionError, Event, Incoming, LastWill, MqttOptions, Outgoing, QoS,
    TlsConfiguration, Transport,
};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use url::Url;

/// Messages that wait to be sent: more than a profile has sounds.
const WAITING: usize = 1024;
/// Time between two tries to reach the broker: after the first failure, and at most.
const PATIENCE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// Time between two signs of life, after which the broker says `offline`.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Longest wait for the last messages at the end.
const LAST: Duration = Duration::from_secs(3);

/// Options on the broker.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct MqttChoice {
    /// Tell an MQTT broker of each sound: mqtt://[USER[:PASSWORD]@]HOST[:PORT], or mqtts:// for TLS
    /// [default: none]
    ///
    /// A password is better kept out of the command line: in MTSLVR_MQTT_PASSWORD. Home Assistant finds a
    /// device with a binary sensor for each sound, which is on while it is heard. A broker that cannot be
    /// reached is tried again, while `listen` goes on.
    #[arg(long, value_name = "URL")]
    mqtt: Option<String>,
    /// Name of this listener in the broker's topics, mtslvr/NAME/...: letters, digits, hyphens and underscores
    #[arg(
        long,
        value_name = "NAME",
        default_value = "listener",
        requires = "mqtt"
    )]
    mqtt_name: String,
    /// Certificates (PEM) of who signed the broker's, for mqtts:// [default: those of the system]
    #[arg(long, value_name = "FILE", requires = "mqtt")]
    mqtt_ca: Option<PathBuf>,
}

impl MqttChoice {
    /// Begins to connect to the broker that was asked for.
    ///
    /// # Errors
    /// If the address or the name cannot be used, or the certificates cannot be read.
    pub(super) fn start(&self, backbone: &str) -> Result<Option<Mqtt>> {
        let Some(url) = &self.mqtt else {
            return Ok(None);
        };
        let password = std::env::var("MTSLVR_MQTT_PASSWORD").ok();
        let name = &self.mqtt_name;
        let usable = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        ensure!(
            !name.is_empty() && name.chars().all(usable),
            "--mqtt-name {name:?}: expected letters, digits, _ and -"
        );
        let address = Address::read(url, password)?;
        ensure!(
            address.tls || self.mqtt_ca.is_none(),
            "--mqtt-ca is for a broker with TLS; expected an address that begins with mqtts://"
        );
        let mut options = address.options(&format!("mtslvr-{name}"));
        if address.tls {
            options.set_transport(Transport::tls_with_config(tls(self.mqtt_ca.as_deref())?));
        }
        Ok(Some(Mqtt::connect(
            options,
            address.shown(),
            name,
            backbone,
        )))
    }
}

/// Where a broker is, and who asks.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    tls: bool,
    host: String,
    port: u16,
    user: Option<String>,
    password: Option<String>,
}

impl Address {
    /// Reads an address. `password` counts where it has none.
    fn read(text: &str, password: Option<String>) -> Result<Self> {
        // Without what may be a password.
        let refused = |why: &str| {
            format!(
                "--mqtt: {why}; expected mqtt://[USER[:PASSWORD]@]HOST[:PORT], or mqtts:// for TLS"
            )
        };
        let Ok(url) = Url::parse(text) else {
            bail!(refused("this is no address"));
        };
        let tls = match url.scheme() {
            "mqtt" => false,
            "mqtts" => true,
            other => bail!(refused(&format!("{other}: is no way to a broker"))),
        };
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            bail!(refused("it names no host"));
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            bail!(refused(&format!("nothing may follow {host}")));
        }
        let decoded = |text: &str| {
            let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
            decoded.ok().map(std::borrow::Cow::into_owned)
        };
        let user = Some(url.username()).filter(|user| !user.is_empty());
        Ok(Self {
            tls,
            // An IPv6 address stands in brackets.
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(if tls { 8883 } else { 1883 }),
            user: user.and_then(decoded),
            password: url.password().and_then(decoded).or(password),
        })
    }

    fn options(&self, client: &str) -> MqttOptions {
        let mut options = MqttOptions::new(client, &self.host, self.port);
        options.set_keep_alive(KEEP_ALIVE);
        if let Some(user) = &self.user {
            options.set_credentials(user, self.password.clone().unwrap_or_default());
        }
        options
    }

    /// Returns the address without user and password.
    fn shown(&self) -> String {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }
}

/// Prepares TLS, with the certificates in a file or those of the system.
fn tls(ca: Option<&Path>) -> Result<TlsConfiguration> {
    // Another one in the same program would do as well.
    let _ = ring::default_provider().install_default();
    let mut roots = rustls::RootCertStore::empty();
    match ca {
        Some(path) => {
            let named = || format!("--mqtt-ca {}", path.shown());
            let pem = read_bounded(path, 1 << 24).with_context(named)?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                roots
                    .add(certificate.with_context(named)?)
                    .with_context(named)?;
            }
            ensure!(
                !roots.is_empty(),
                "{}: holds no certificate; expected PEM, which begins with -----BEGIN CERTIFICATE-----",
                named()
            );
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            ensure!(
                !roots.is_empty(),
                "this system has no certificates to know the broker by; name a file of them with --mqtt-ca"
            );
        }
    }
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConfiguration::Rustls(Arc::new(config)))
}

/// A sound that the broker knows of.
#[derive(Clone, Debug)]
struct Sensor {
    id: u16,
    label: String,
    on: bool,
}

/// Knowledge that the broker is to have.
#[derive(Debug)]
struct Told {
    name: String,
    backbone: String,
    sensors: Vec<Sensor>,
    /// Whether the broker listens. While it does not, nothing waits for it: it is told how things are when it does.
    connected: bool,
    /// Sounds that began meanwhile.
    missed: u64,
    /// Messages that the broker has not acknowledged.
    unacknowledged: usize,
}

impl Told {
    /// Sends messages that the broker keeps, by topic.
    fn publish(&mut self, client: &Client, messages: impl IntoIterator<Item = (String, String)>) {
        for (topic, payload) in messages {
            // Without room it is lost: the connection is about to break, and all is told when it is made anew.
            let sent = client.try_publish(topic, QoS::AtLeastOnce, true, payload);
            self.unacknowledged += usize::from(sent.is_ok());
        }
    }

    fn topic(&self, rest: &str) -> String {
        format!("mtslvr/{}/{rest}", self.name)
    }

    fn discovery(&self, id: u16) -> String {
        format!(
            "homeassistant/binary_sensor/mtslvr_{}/{id}/config",
            self.name
        )
    }

    /// The discovery of a sensor. Home Assistant's names of the fields.
    fn config(&self, sensor: &Sensor) -> Value {
        let device = format!("mtslvr_{}", self.name);
        json!({
            "name": sensor.label,
            "unique_id": format!("{device}_{}", sensor.id),
            "device_class": "sound",
            "state_topic": self.topic(&format!("{}/state", sensor.id)),
            "json_attributes_topic": self.topic(&format!("{}/attributes", sensor.id)),
            "availability_topic": self.topic("status"),
            "device": {
                "identifiers": [device],
                "name": format!("MT-SLVR {}", self.name),
                "manufacturer": "MT-SLVR",
                "model": self.backbone,
                "sw_version": env!("CARGO_PKG_VERSION"),
            },
            "origin": { "name": "mtslvr", "sw_version": env!("CARGO_PKG_VERSION") },
        })
    }

    /// Messages that tell of a sensor, by topic.
    fn messages(&self, sensor: &Sensor) -> [(String, String); 2] {
        [
            (self.discovery(sensor.id), self.config(sensor).to_string()),
            self.state(sensor),
        ]
    }

    fn state(&self, sensor: &Sensor) -> (String, String) {
        let state = if sensor.on { "ON" } else { "OFF" };
        (
            self.topic(&format!("{}/state", sensor.id)),
            state.to_owned(),
        )
    }

    /// Messages that tell of everything.
    fn all(&self) -> Vec<(String, String)> {
        let status = (self.topic("status"), "online".to_owned());
        let sensors = self.sensors.iter().flat_map(|sensor| self.messages(sensor));
        [status].into_iter().chain(sensors).collect()
    }
}

/// A connection to a broker, which is made anew when it breaks.
pub(super) struct Mqtt {
    client: Client,
    told: Arc<Mutex<Told>>,
    /// Sentences for people.
    notes: Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mqtt")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

impl Mqtt {
    fn connect(mut options: MqttOptions, shown: String, name: &str, backbone: &str) -> Self {
        let told = Told {
            name: name.to_owned(),
            backbone: backbone.to_owned(),
            sensors: Vec::new(),
            connected: false,
            missed: 0,
            unacknowledged: 0,
        };
        options.set_last_will(LastWill::new(
            told.topic("status"),
            "offline",
            QoS::AtLeastOnce,
            true,
        ));
        let told = Arc::new(Mutex::new(told));
        let (client, connection) = Client::new(options, WAITING);
        let (sender, notes) = channel();
        let link = Link {
            client: client.clone(),
            told: told.clone(),
            notes: sender,
            shown,
        };
        Self {
            client,
            told,
            notes,
            thread: Some(std::thread::spawn(move || link.keep(connection))),
        }
    }

    /// Returns what happened to the connection since it was last asked, in sentences.
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.try_iter().collect()
    }

    /// Sets the sounds that there are: new ones are announced, those that went are taken back.
    pub(super) fn set_classes(&mut self, classes: &[Known]) {
        let mut told = lock(&self.told);
        let sounds = classes.iter().filter(|class| class.role == Role::Sound);
        let sensors: Vec<Sensor> = sounds
            .map(|class| {
                let mut known = told.sensors.iter();
                Sensor {
                    id: class.id.get(),
                    label: class.label.clone(),
                    on: known.any(|sensor| sensor.id == class.id.get() && sensor.on),
                }
            })
            .collect();
        let before = std::mem::replace(&mut told.sensors, sensors);
        if !told.connected {
            return;
        }
        let gone = before
            .iter()
            .filter(|old| told.sensors.iter().all(|sensor| sensor.id != old.id));
        let gone = gone.map(|old| (told.discovery(old.id), String::new()));
        let there = told.sensors.iter().flat_map(|sensor| told.messages(sensor));
        let messages: Vec<_> = gone.chain(there).collect();
        told.publish(&self.client, messages);
    }

    /// Tells that a sound begins or ends; `line` is what is known of it, as JSON.
    pub(super) fn tell(&mut self, class: ClassId, on: bool, line: &str) {
        let mut told = lock(&self.told);
        let connected = told.connected;
        told.missed += u64::from(on && !connected);
        let mut sensors = told.sensors.iter_mut();
        let Some(sensor) = sensors.find(|sensor| sensor.id == class.get()) else {
            return;
        };
        sensor.on = on;
        let sensor = sensor.clone();
        if connected {
            let attributes = told.topic(&format!("{}/attributes", sensor.id));
            let state = told.state(&sensor);
            told.publish(&self.client, [(attributes, line.to_owned()), state]);
        }
    }

    /// Says that listening has ended, and waits a little until the broker knows. Returns what happened since
    /// [`Self::notes`] was last asked.
    pub(super) fn finish(mut self) -> Vec<String> {
        self.leave();
        self.notes()
    }

    fn leave(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        {
            let mut told = lock(&self.told);
            for sensor in &mut told.sensors {
                sensor.on = false;
            }
            if told.connected {
                let off = told.sensors.iter().map(|sensor| told.state(sensor));
                let offline = (told.topic("status"), "offline".to_owned());
                let last: Vec<_> = off.chain([offline]).collect();
                told.publish(&self.client, last);
            }
        }
        let begin = Instant::now();
        let wait = |going: &dyn Fn() -> bool| {
            while going() && begin.elapsed() < LAST {
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        // An acknowledgement that is not read when the connection is closed resets it, and what the broker has not
        // read by then is lost.
        wait(&|| {
            let told = lock(&self.told);
            told.connected && told.unacknowledged > 0
        });
        let connected = lock(&self.told).connected;
        let _ = self.client.try_disconnect();
        if connected {
            wait(&|| !thread.is_finished());
        }
    }
}

/// Where listening ends by an error, no sensor stays on either.
impl Drop for Mqtt {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The thread's side of a connection.
struct Link {
    client: Client,
    told: Arc<Mutex<Told>>,
    notes: Sender<String>,
    shown: String,
}

impl Link {
    /// Keeps the connection, until it is ended.
    fn keep(self, mut connection: Connection) {
        let [first, most] = PATIENCE;
        let mut patience = first;
        let mut failed = false;
        for event in connection.iter() {
            match event {
                Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                    (patience, failed) = (first, false);
                    let missed = self.tell_all();
                    let missed = match missed {
                        0 => String::new(),
                        missed => format!("; {missed} sounds were not told meanwhile"),
                    };
                    self.note(&format!("MQTT: connected to {}{missed}", self.shown));
                }
                Ok(Event::Incoming(Incoming::PubAck(_))) => {
                    let mut told = lock(&self.told);
                    told.unacknowledged = told.unacknowledged.saturating_sub(1);
                }
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
                Ok(_) => (),
                Err(ConnectionError::RequestsDone) => return,
                Err(error) => {
                    {
                        let mut told = lock(&self.told);
                        (told.connected, told.unacknowledged) = (false, 0);
                    }
                    // Once: it is tried for as long as it takes.
                    if !failed {
                        self.note(&format!(
                            "MQTT: {}: {error}; it is tried again every {} s",
                            self.shown,
                            most.as_secs()
                        ));
                    }
                    failed = true;
                    std::thread::sleep(patience);
                    patience = (2 * patience).min(most);
                }
            }
        }
    }

    /// Tells the broker how things are; returns how many sounds began while it was away.
    fn tell_all(&self) -> u64 {
        let mut told = lock(&self.told);
        told.connected = true;
        let all = told.all();
        told.publish(&self.client, all);
        std::mem::take(&mut told.missed)
    }

    fn note(&self, text: &str) {
        // Nobody reads it any more where listening has ended.
        let _ = self.notes.send(text.to_owned());
    }
}

fn lock(told: &Mutex<Told>) -> std::sync::MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_their_secrets() {
        let read = |text: &str| Address::read(text, None).unwrap();
        let plain = read("mqtt://broker.local");
        assert_eq!(
            (plain.tls, &*plain.host, plain.port),
            (false, "broker.local", 1883)
        );
        let full = read("mqtts://anna:p%40ss@[::1]:8884/");
        assert_eq!((full.tls, &*full.host, full.port), (true, "::1", 8884));
        assert_eq!(full.user.as_deref(), Some("anna"));
        assert_eq!(full.password.as_deref(), Some("p@ss"));
        assert!(!full.shown().contains("anna") && !full.shown().contains("ss@"));
        let kept = Address::read("mqtt://anna@h", Some("secret".into())).unwrap();
        assert_eq!(kept.password.as_deref(), Some("secret"));
        for (text, part) in [
            ("broker.local", "no address"),
            ("http://h", "http"),
            ("mqtt://h/topic", "may follow h"),
            ("mqtt://", "no host"),
        ] {
            let error = Address::read(text, None).unwrap_err().to_string();
            assert!(
                error.contains(part) && error.contains("mqtt://[USER"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_a_broker_is_told_names_each_sound() {
        let told = Told {
            name: "kitchen".into(),
            backbone: "edge-s".into(),
            sensors: vec![Sensor {
                id: 7,
                label: "door bell".into(),
                on: true,
            }],
            connected: true,
            missed: 0,
            unacknowledged: 0,
        };
        let all = told.all();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0], ("mtslvr/kitchen/status".into(), "online".into()));
        assert_eq!(
            all[1].0,
            "homeassistant/binary_sensor/mtslvr_kitchen/7/config"
        );
        assert_eq!(all[2], ("mtslvr/kitchen/7/state".into(), "ON".into()));
        let config: Value = serde_json::from_str(&all[1].1).unwrap();
        assert_eq!(config["name"], "door bell");
        assert_eq!(config["unique_id"], "mtslvr_kitchen_7");
        assert_eq!(config["state_topic"], "mtslvr/kitchen/7/state");
        assert_eq!(config["availability_topic"], "mtslvr/kitchen/status");
    }
}
