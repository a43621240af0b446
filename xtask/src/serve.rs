//! A small server of static files, for the page in the browser.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Longest wait for a browser that says nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most bytes of a request's line or of one of its headers.
const MOST_LINE: u64 = 8192;

/// Headers of every answer. The page may load nothing from elsewhere.
const HEADERS: &str = "Cache-Control: no-cache\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n\
    Permissions-Policy: microphone=(self)\r\n\
    Content-Security-Policy: default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; frame-ancestors 'none'\r\n";

/// A server that has an address and serves nothing yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    folder: PathBuf,
}

impl Server {
    /// Listens at `address` for requests of the files in `folder`. Port 0 chooses a free one.
    ///
    /// # Errors
    /// If the address is in use or not of this machine.
    pub fn bind(address: SocketAddr, folder: &Path) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address)?,
            folder: folder.to_owned(),
        })
    }

    /// Returns its address.
    ///
    /// # Errors
    /// If the operating system does not know it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the program ends, each connection in a thread of its own.
    pub fn run(self) {
        for stream in self.listener.incoming().flatten() {
            let folder = self.folder.clone();
            std::thread::spawn(move || {
                // The browser may have gone.
                let _ = answer(&stream, &folder);
            });
        }
    }
}

/// Answers one request.
fn answer(stream: &TcpStream, folder: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = io::Read::take(BufReader::new(stream), MOST_LINE * 64);
    let mut request = String::new();
    lines.read_line(&mut request)?;
    let mut header = String::new();
    while lines.read_line(&mut header)? > 2 {
        header.clear();
    }
    let mut words = request.split_whitespace();
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let found = file_of(folder, target).and_then(|path| Some((fs::read(&path).ok()?, path)));
    let (status, kind, body) = match (method, found) {
        (Some("GET" | "HEAD"), Some((body, path))) => ("200 OK", mime_type(&path), body),
        (Some("GET" | "HEAD"), None) => ("404 Not Found", TEXT, b"not found".to_vec()),
        _ => ("405 Method Not Allowed", TEXT, b"only GET".to_vec()),
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{HEADERS}\
         Connection: close\r\n\r\n",
        body.len()
    )?;
    if method != Some("HEAD") {
        stream.write_all(&body)?;
    }
    stream.flush()
}

/// Returns the file that `target` names, unless it is outside the folder.
fn file_of(folder: &Path, target: &str) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let path = Path::new(if path.is_empty() { "index.html" } else { path });
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let file = folder.join(path);
    (inside && file.is_file()).then_some(file)
}

const TEXT: &str = "text/plain; charset=utf-8";

/// Returns the MIME type of a file. Browsers run neither modules nor WebAssembly of another type.
fn mime_type(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("wasm") => "application/wasm",
        Some("wav") => "audio/wav",
        Some("md") => TEXT,
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn files_are_served_with_their_types_and_nothing_outside() {
        let folder = std::env::temp_dir().join(format!("mtslvr-serve-{}", std::process::id()));
        fs::create_dir_all(folder.join("page")).unwrap();
        fs::write(folder.join("secret"), "no").unwrap();
        fs::write(folder.join("page/index.html"), "hello").unwrap();
        fs::write(folder.join("page/a.wasm"), [0]).unwrap();
        let server = Server::bind(([127, 0, 0, 1], 0).into(), &folder.join("page")).unwrap();
        let address = server.address().unwrap();
        std::thread::spawn(|| server.run());
        let get = |target: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            String::from_utf8_lossy(&answer).into_owned()
        };
        let page = get("/?x=1");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html"));
        assert!(page.ends_with("\r\n\r\nhello"), "{page}");
        assert!(get("/a.wasm").contains("application/wasm"));
        for outside in [
            "/../secret",
            "//etc/passwd",
            "/%2e%2e/secret",
            "/none",
            "secret",
        ] {
            assert!(get(outside).starts_with("HTTP/1.1 404"), "{outside}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
