//! A client of WebDriver (<https://www.w3.org/TR/webdriver2/>): JSON over HTTP to a driver on this machine.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time for a browser to start, or for a page to become as expected.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Key of an element in the driver's JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys without a letter.
pub const TAB: char = '\u{e004}';
pub const ENTER: char = '\u{e007}';
pub const SPACE: char = ' ';

/// A running driver, which ends with it.
pub struct Driver {
    process: Child,
    port: u16,
}

/// A browser with one page, which closes with it.
pub struct Browser<'d> {
    driver: &'d Driver,
    session: String,
}

/// Where a browser keeps its storage, what it downloads, and what its microphone plays.
pub struct Setup<'p> {
    pub profile: &'p Path,
    pub microphone: Option<&'p Path>,
}

impl Driver {
    pub fn start() -> Result<Self> {
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new("chromedriver")
            .arg(format!("--port={free}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("chromedriver cannot be started: install the package chromium-driver")?;
        let driver = Self {
            process,
            port: free,
        };
        wait("chromedriver to start", || {
            Ok(TcpStream::connect(("127.0.0.1", driver.port)).ok())
        })?;
        Ok(driver)
    }

    /// Opens a browser.
    pub fn open(&self, setup: &Setup) -> Result<Browser<'_>> {
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--window-size=1180,1400".to_owned(),
            "--use-fake-ui-for-media-stream".to_owned(),
            "--use-fake-device-for-media-stream".to_owned(),
            format!(
                "--user-data-dir={}",
                setup.profile.join("browser").display()
            ),
        ];
        if let Some(file) = setup.microphone {
            let file = file.display();
            arguments.push(format!("--use-file-for-fake-audio-capture={file}"));
        }
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {
                "args": arguments,
                "prefs": {"download.default_directory": setup.profile, "download.prompt_for_download": false},
            },
        }}});
        let opened = self.call("POST", "/session", Some(&capabilities))?;
        let session = opened["sessionId"].as_str().context("no session")?;
        Ok(Browser {
            driver: self,
            session: session.to_owned(),
        })
    }

    /// Makes one request and returns the value of its answer.
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map_or_else(String::new, Value::to_string);
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )?;
        let answer = body_of(&mut stream)?;
        let answer: Value = serde_json::from_slice(&answer).context("the answer is no JSON")?;
        let value = &answer["value"];
        ensure!(
            value.get("error").is_none_or(Value::is_null),
            "{method} {path}: {} {}",
            value["error"],
            value["message"]
        );
        Ok(value.clone())
    }
}

/// Reads an answer and returns its body, whose length the driver states.
fn body_of(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 1 << 16]);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.context("no length")?.trim().parse()?;
            if bytes.len() >= end + 4 + length {
                return Ok(bytes[end + 4..][..length].to_vec());
            }
        }
        match stream.read(&mut piece)? {
            0 => bail!("the driver ended in the middle of its answer"),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser<'_> {
    fn call(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let path = format!("/session/{}{path}", self.session);
        self.driver
            .call(method, &path, Some(&body).filter(|_| method == "POST"))
    }

    /// Loads a page and waits until it is ready.
    pub fn visit(&self, address: &str) -> Result<()> {
        self.call("POST", "/url", json!({ "url": address }))?;
        self.ready()
    }

    /// Loads the page again.
    pub fn reload(&self) -> Result<()> {
        self.call("POST", "/refresh", json!({}))?;
        self.ready()
    }

    fn ready(&self) -> Result<()> {
        wait("the page to be ready", || {
            let ready = self.run("return document.documentElement.dataset.ready === 'true'")?;
            if ready == json!(false) {
                let failure = self.text("#failure")?;
                ensure!(failure.is_empty(), "the page says: {failure}");
            }
            Ok((ready == json!(true)).then_some(()))
        })
    }

    /// Runs JavaScript and returns what it returns.
    pub fn run(&self, script: &str) -> Result<Value> {
        let call = json!({"script": script, "args": []});
        self.call("POST", "/execute/sync", call)
    }

    /// Runs the body of an asynchronous function with the argument `input`, and returns what it returns.
    pub fn run_async(&self, body: &str, input: &Value) -> Result<Value> {
        let script = format!(
            "const [input, done] = arguments;
             (async () => {{ {body} }})().then(done, (error) => done({{failure: String(error)}}));"
        );
        let call = json!({"script": script, "args": [input]});
        let value = self.call("POST", "/execute/async", call)?;
        let failure = value.get("failure");
        ensure!(failure.is_none(), "the script failed: {value}");
        Ok(value)
    }

    fn element(&self, selector: &str) -> Result<String> {
        let by = json!({"using": "css selector", "value": selector});
        let found = self.call("POST", "/element", by)?;
        let id = found[ELEMENT].as_str().context("no element")?;
        Ok(id.to_owned())
    }

    /// Clicks on an element.
    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.call("POST", &format!("/element/{element}/click"), json!({}))?;
        Ok(())
    }

    /// Types into an element; into a file field, the path of a file.
    pub fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element(selector)?;
        let keys = json!({ "text": text });
        self.call("POST", &format!("/element/{element}/value"), keys)?;
        Ok(())
    }

    /// Presses keys, one after the other.
    pub fn press(&self, keys: &[char]) -> Result<()> {
        let actions = keys.iter().flat_map(|key| {
            let key = key.to_string();
            [
                json!({"type": "keyDown", "value": key}),
                json!({"type": "keyUp", "value": key}),
            ]
        });
        self.act("key", actions.collect())
    }

    /// Holds a key down for a time.
    pub fn hold(&self, key: char, milliseconds: u64) -> Result<()> {
        let key = key.to_string();
        self.act(
            "key",
            vec![
                json!({"type": "keyDown", "value": key}),
                json!({"type": "pause", "duration": milliseconds}),
                json!({"type": "keyUp", "value": key}),
            ],
        )
    }

    fn act(&self, kind: &str, actions: Vec<Value>) -> Result<()> {
        let sequence = json!({"type": kind, "id": kind, "actions": actions});
        self.call("POST", "/actions", json!({"actions": [sequence]}))?;
        Ok(())
    }

    /// Returns the text of an element, however it is shown.
    pub fn text(&self, selector: &str) -> Result<String> {
        let script = format!(
            "return document.querySelector({}).textContent.trim()",
            json!(selector)
        );
        let text = self.run(&script)?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Returns the texts of all elements.
    pub fn texts(&self, selector: &str) -> Result<Vec<String>> {
        let script = format!(
            "return [...document.querySelectorAll({})].map((one) => one.textContent.trim())",
            json!(selector)
        );
        Ok(serde_json::from_value(self.run(&script)?)?)
    }

    /// Waits until the text of an element holds `words`.
    pub fn wait_for(&self, selector: &str, words: &str) -> Result<String> {
        let mut last = String::new();
        wait(&format!("{selector} to say \"{words}\""), || {
            last = self.text(selector)?;
            Ok(last.contains(words).then(|| last.clone()))
        })
        .with_context(|| format!("it says: {last}"))
    }

    /// Returns what the page wrote to the console.
    pub fn console(&self) -> Result<Vec<String>> {
        let log = self.call("POST", "/se/log", json!({"type": "browser"}))?;
        let entries = log.as_array().cloned().unwrap_or_default();
        Ok(entries.iter().map(Value::to_string).collect())
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        // A browser that has gone needs no end.
        let _ = self.driver.call("DELETE", &path, None);
    }
}

/// Looks until there is something.
pub fn wait<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(PAUSE);
    }
}
