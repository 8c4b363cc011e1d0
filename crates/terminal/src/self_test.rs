//! The self test before a TK is made: can the terminal run normally at all (1-systems.md D, S2)?
//!
//! Interface, then network, then an application to download, each only where production asks for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Longest wait for the network or an answer.
const WAIT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are looked at: its first line.
const FIRST_LINE: u64 = 256;

/// What production asks for. Nothing, unless it is said: laboratories have neither network nor applications.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    /// Whether the user interface must have loaded.
    #[serde(default)]
    pub interface: bool,
    /// Where a TCP connection must be possible: `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// What must be there to be downloaded: `http://host[:port]/path`, answered with 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
}

/// Which part failed, for the log of refusals, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) check: &'static str,
    pub(crate) why: String,
}

impl SelfTest {
    /// Runs it; `interface` says whether the user interface has loaded.
    pub(crate) fn run(&self, interface: &mut dyn FnMut() -> bool) -> Result<(), Failed> {
        let failed = |check| move |why| Failed { check, why };
        if self.interface && !interface() {
            return Err(failed("interface")("not loaded".into()));
        }
        if let Some(address) = &self.network {
            connect(address).map_err(failed("network"))?;
        }
        match &self.application {
            Some(url) => probe(url).map_err(failed("application")),
            None => Ok(()),
        }
    }
}

fn connect(address: &str) -> Result<TcpStream, String> {
    use std::net::ToSocketAddrs as _;
    let mut why = "the name has no address".to_owned();
    for address in address.to_socket_addrs().map_err(|error| error.to_string())? {
        match TcpStream::connect_timeout(&address, WAIT) {
            Ok(stream) => return Ok(stream),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// Asks for an application's first bytes, and no more: whether it is good is the download's own check.
fn probe(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("http://").ok_or("the address does not begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if rest.chars().any(|c| c.is_control() || c == ' ') {
        return Err("the address has spaces or control characters".into());
    }
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut stream = connect(&address)?;
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    let asked = stream
        .set_read_timeout(Some(WAIT))
        .and_then(|()| stream.set_write_timeout(Some(WAIT)))
        .and_then(|()| stream.write_all(request.as_bytes()));
    asked.map_err(|error| error.to_string())?;
    let mut line = Vec::new();
    let mut answer = BufReader::new(stream).take(FIRST_LINE);
    answer.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    let line = String::from_utf8_lossy(&line);
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some(version), Some("200")) if version.starts_with("HTTP/1.") => Ok(()),
        _ => Err(format!("answered {:?}", line.trim_end())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that answers one connection with this.
    fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
        });
        address
    }

    fn free_port() -> String {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
    }

    fn check(test: &SelfTest, interface: bool) -> Option<&'static str> {
        test.run(&mut || interface).err().map(|failed| failed.check)
    }

    #[test]
    fn nothing_is_asked_for_unless_production_says_so() {
        assert_eq!(check(&SelfTest::default(), false), None);
    }

    #[test]
    fn an_interface_that_has_not_loaded_is_named() {
        let test = SelfTest { interface: true, ..SelfTest::default() };
        assert_eq!(check(&test, false), Some("interface"));
        assert_eq!(check(&test, true), None);
    }

    #[test]
    fn a_network_that_is_not_there_is_named() {
        let test = |address| SelfTest { network: Some(address), ..SelfTest::default() };
        assert_eq!(check(&test(free_port()), true), Some("network"));
        assert_eq!(check(&test("no port".into()), true), Some("network"));
        assert_eq!(check(&test(answering("")), true), None);
    }

    #[test]
    fn only_200_is_an_application() {
        let test = |url| SelfTest { application: Some(url), ..SelfTest::default() };
        assert_eq!(check(&test(format!("http://{}/app", answering("HTTP/1.1 200 OK\r\n\r\n"))), true), None);
        for answer in ["HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 2000\r\n", "SSH-2.0 200\r\n", ""] {
            let url = format!("http://{}/app", answering(answer));
            assert_eq!(check(&test(url), true), Some("application"), "{answer}");
        }
        for url in [format!("http://{}", free_port()), "https://localhost/".into(), "http://a b/".into()] {
            assert_eq!(check(&test(url.clone()), true), Some("application"), "{url}");
        }
    }
}
