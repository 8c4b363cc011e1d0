//! A POSP: HTTP/1.1 over TLS with a client certificate, connections kept open; and the zones that its PINs go to.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use hsm::commands::ZoneAlgorithm;
use hsm::{Client, KeyBlock};
use hsm_soft::{
    Offline,
    components::{Ceremony, Component, Target, combine, enter},
};
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use keyferry_server::host::zone::{self, By, Zone};
use paycrypto::{AesKey, TdesKey, mac};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    estate::{ACQUIRER, ESTATE, PASSPHRASE, Person},
    https::Answer,
    raw::check_value,
    world::Server,
};

/// `[posp]` of a configuration that serves `posp-1`.
pub(crate) const POSP: &str =
    "[posp]\nlisten = \"127.0.0.1:0\"\nclient_root = \"root.pem\"\nclients = [\"posp-1\", \"posp-2\"]\n";

/// An open connection.
pub(crate) struct Posp(StreamOwned<ClientConnection, TcpStream>);

impl Posp {
    /// As `posp-1`.
    pub(crate) fn connect(server: &Server) -> Posp {
        Posp::connect_as(server.posp.unwrap(), Some(&ESTATE.posp("posp-1"))).unwrap()
    }

    /// As somebody, or as nobody. An error when the handshake, which ends with the server's first words, fails.
    pub(crate) fn connect_as(address: SocketAddr, who: Option<&Person>) -> io::Result<Posp> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(ESTATE.root.der().to_vec())).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match who {
            None => builder.with_no_client_auth(),
            Some(person) => {
                let chain = vec![CertificateDer::from(person.certificate.der().to_vec())];
                let key = PrivateKeyDer::from_pem_slice(person.key().pem().as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let name = ServerName::try_from(address.ip().to_string()).unwrap();
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        let mut posp = Posp(StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream));
        // In TLS 1.3 the client has its say last: a refused certificate shows in the first answer.
        posp.try_call("GET", "/v1/openapi.json", "application/json", b"")?;
        Ok(posp)
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, body.to_string().as_bytes())
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.call("GET", path, b"")
    }

    pub(crate) fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.try_call(method, path, "application/json", body).unwrap()
    }

    pub(crate) fn try_call(
        &mut self,
        method: &str,
        path: &str,
        media: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {media}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        // A server that refuses a body may answer before it has come whole.
        let _ = self.0.write_all(head.as_bytes()).and_then(|()| self.0.write_all(body));
        let _ = self.0.flush();
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.fill(&mut read)?;
        };
        let head = str::from_utf8(&read[..end]).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let length: usize = length.parse().unwrap();
        while read.len() < end + length {
            self.fill(&mut read)?;
        }
        let body = String::from_utf8(read[end..].to_vec()).unwrap();
        let json = serde_json::from_str(&body).unwrap_or_default();
        Ok(Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), body, json })
    }

    fn fill(&mut self, read: &mut Vec<u8>) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let StreamOwned { conn, sock } = &mut self.0;
        loop {
            match conn.reader().read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    read.extend_from_slice(&buffer[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            // Not by the stream: it would first write what a server that refuses a body reads no more.
            while conn.wants_write() && conn.write_tls(sock).is_ok() {}
            if conn.read_tls(sock)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            conn.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

/// An AES zone: the key as the other side has it, made by this side under an AES zone master key.
pub(crate) fn aes_zone(server: &Server, name: &str) -> Vec<u8> {
    let (master_block, master) = zone_master_of::<5>(ZoneAlgorithm::Aes);
    let (zone, under) = server.block_on(async {
        let hsm = Client::connect(ESTATE.socket()).await.unwrap();
        let by = By { owner: ACQUIRER, actor: "Zoe Zone" };
        zone::make(&hsm, &*server.store, &master_block, (name, ZoneAlgorithm::Aes), by).await.unwrap()
    });
    assert_eq!((zone.algorithm.as_str(), zone.kcv.len()), ("aes", 10));
    Kbpk::new(Version::D, &master).unwrap().unwrap(&under).unwrap().key.to_vec()
}

/// A TDES zone master key that two people typed: its block in the HSM, and the key as the other side has it.
pub(crate) fn zone_master() -> (KeyBlock, Vec<u8>) {
    zone_master_of::<3>(ZoneAlgorithm::Tdes)
}

fn zone_master_of<const KCV: usize>(algorithm: ZoneAlgorithm) -> (KeyBlock, Vec<u8>) {
    let hsm = Offline::open(&ESTATE.hsm_folder(), PASSPHRASE).unwrap();
    let ceremony = Ceremony {
        name: "issuer-1".into(),
        owner: ACQUIRER.into(),
        session: "2026-11".into(),
        of: 2,
        target: Target::ZoneMaster { algorithm },
    };
    let typed = [(); 2].map(|()| match algorithm {
        ZoneAlgorithm::Tdes => TdesKey::generate24().unwrap().expose().to_vec(),
        ZoneAlgorithm::Aes => {
            let mut key = vec![0; 32];
            paycrypto::random::fill(&mut key).unwrap();
            key
        }
    });
    let kcv = |key: &[u8]| -> [u8; KCV] {
        match algorithm {
            ZoneAlgorithm::Tdes => check_value(key)[..].try_into().unwrap(),
            ZoneAlgorithm::Aes => {
                mac::cmac_aes(&AesKey::from_bytes(key).unwrap(), &[0; 16])[..KCV].try_into().unwrap()
            }
        }
    };
    let parts: Vec<_> = (1..)
        .zip(["Ada Lovelace", "Grace Hopper"])
        .zip(&typed)
        .map(|((part, person), key)| {
            let (clear, check_value) = (Zeroizing::new(key.clone()), kcv(key));
            enter(&hsm, &ceremony, &Component { part, person: person.into(), clear, check_value }).unwrap()
        })
        .collect();
    let sum = typed[0].iter().zip(&typed[1]).map(|(a, b)| a ^ b);
    let odd = |byte: u8| if byte.count_ones().is_multiple_of(2) { byte ^ 1 } else { byte };
    let key: Vec<u8> = match algorithm {
        ZoneAlgorithm::Tdes => sum.map(odd).collect(),
        ZoneAlgorithm::Aes => sum.collect(),
    };
    let held = combine(&hsm, &ceremony, &parts, kcv(&key)).unwrap();
    (held.block, key)
}

/// A TDES zone with its key, both sides.
pub(crate) struct RawZone {
    pub(crate) master: Vec<u8>,
    pub(crate) master_block: KeyBlock,
    pub(crate) key: Vec<u8>,
    pub(crate) zone: Zone,
}

impl RawZone {
    /// The other side makes a key and sends it under the zone master key; this side imports it.
    pub(crate) fn import(server: &Server, name: &str) -> RawZone {
        let (master_block, master) = zone_master();
        let key = TdesKey::generate24().unwrap().expose().to_vec();
        let block = zone_block(&master, &key);
        let zone = server.block_on(async {
            let hsm = Client::connect(ESTATE.socket()).await.unwrap();
            let by = By { owner: ACQUIRER, actor: "Zoe Zone" };
            zone::import(&hsm, &*server.store, &master_block, (name, &block), by).await.unwrap()
        });
        RawZone { master, master_block, key, zone }
    }
}

/// A zone key under a zone master key: X9.143 version B.
pub(crate) fn zone_block(master: &[u8], key: &[u8]) -> String {
    let header = Header::new(
        Version::B,
        Usage::parse("P0").unwrap(),
        Algorithm::TDES,
        Mode::parse("B").unwrap(),
        Exportability::NOT_EXPORTABLE,
    );
    Kbpk::new(Version::B, master).unwrap().wrap(&header, key).unwrap()
}

/// One item of a translation.
pub(crate) fn item(sn: &str, slot: u8, pan: &str, (from, to): (u8, u8), block: &[u8], zone: &str) -> Value {
    let block: String = block.iter().map(|byte| format!("{byte:02X}")).collect();
    json!({ "sn": sn, "slot": slot, "pan": pan, "from": from, "to": to, "pin_block": block, "zone": zone })
}

/// Bytes of a field that holds hex.
pub(crate) fn bytes_of(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("no hex: {value}"));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
