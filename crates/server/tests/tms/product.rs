//! The product's terminal against the product's server, over TCP; DMK injected by a KLD written from 2-wire.md section 4
//! alone.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use flows::tms_session::OperatorPassword;
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use paycrypto::rsa::PrivateKey;
use pki::{
    Role,
    issue::{self, Issuer},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{NewDeployment, Stage, StopRule};
use terminal::{
    Link, NewTerminal, Terminal, TrustedRoot,
    area::Areas,
    listen,
    tms::{self, TmsError, UpdateOptions, Updated},
};
use wire::Slot;

use crate::support::{
    estate::{ESTATE, name, valid},
    line::connect,
    rks::hex,
    shop::Shop,
    tlv::{self, field, frame},
    tms::{MODEL, Pos, VENDOR},
};

const KLD_CONNECT: u8 = 0x21;
const KLD_ACCEPT: u8 = 0x22;
const KLD_KEY: u8 = 0x23;
const C_RND1_RND2: u16 = 0xDF10;
const C_CTMK_RND2: u16 = 0xDF11;

/// A terminal of this shop's vendor, with its DMK.
fn product(shop: &Shop, pos: &Pos) -> Terminal {
    let acquirer = vec![Role::KmsWork, Role::Downloader];
    let roots = vec![
        TrustedRoot { certificate: ESTATE.root.clone(), roles: acquirer },
        TrustedRoot::of_vendor(shop.maker.root.clone()),
    ];
    let terminal = Terminal::in_memory(NewTerminal {
        roots,
        vendor: Some(VENDOR.parse().unwrap()),
        model: Some(MODEL.parse().unwrap()),
        ..NewTerminal::named(pos.sn.parse().unwrap())
    });
    visited(terminal.unwrap(), |address| inject(address, pos))
}

/// Runs `visit` against the terminal's own listener.
fn visited(mut terminal: Terminal, visit: impl FnOnce(SocketAddr)) -> Terminal {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let stopped = || stop.load(Ordering::Relaxed);
            listen::serve(&listener, &mut terminal, &stopped, &mut |_| {}).unwrap();
        });
        visit(address);
        thread::sleep(std::time::Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
        serving.join().unwrap();
    });
    terminal
}

/// Flow B from the KLD's side.
fn inject(address: SocketAddr, pos: &Pos) {
    let key = PrivateKey::generate(2048).unwrap();
    let issuer = Issuer::new(&ESTATE.root, ESTATE.root_key()).unwrap();
    let certificate =
        issue::leaf(&issuer, Role::Downloader, &name("KLD-7"), key.spki_der(), valid()).unwrap();
    let mut line = connect(address);
    let hello = [field(tlv::SUITE, &[1]), field(tlv::CERTIFICATE, certificate.der())].concat();
    let hello = frame(KLD_CONNECT, &hello);
    line.send(&hello);
    let accept = line.expect(KLD_ACCEPT).unwrap();
    let opened = key.oaep_decrypt(accept.get(C_RND1_RND2)).unwrap();
    let (rnd1, rnd2) = opened.split_at(24);
    let context = hex(&Sha256::digest([hello, accept.frame.clone()].concat())[..16]);
    let header = Header::new(
        Version::B,
        Usage::parse("11").unwrap(),
        Algorithm::TDES,
        Mode::parse("N").unwrap(),
        Exportability::NOT_EXPORTABLE,
    );
    let place = format!("{}/00", pos.sn);
    let header = header.with_optional("10", place).unwrap().with_optional("11", context).unwrap();
    let block = Kbpk::new(Version::B, rnd1).unwrap().wrap(&header, &pos.dmk).unwrap();
    let content = [field(tlv::KEY_BLOCK, block.as_bytes()), field(tlv::RND2, rnd2)].concat();
    line.send(&frame(KLD_KEY, &field(C_CTMK_RND2, &key.type1_sign(&content).unwrap())));
    line.expect(tlv::CONFIRM).unwrap();
    line.send(&frame(tlv::DONE, &[]));
}

fn update(
    shop: &Shop,
    terminal: &mut Terminal,
    areas: &mut Areas,
    options: UpdateOptions<'_>,
) -> Result<Updated, TmsError> {
    let server = shop.server.terminals;
    let mut link = || -> io::Result<Link<TcpStream>> { Ok(Link::new(terminal::connect(server)?)) };
    tms::update(terminal, areas, &mut link, options)
}

fn ids(updated: &Updated) -> Vec<String> {
    updated.installed.iter().map(|id| format!("{} {}", id.name, id.version)).collect()
}

#[test]
fn the_products_terminal_is_updated_by_the_products_server() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "check_date = true");
    let (mut terminal, mut areas) = (product(&shop, &pos), Areas::in_memory().unwrap());
    let nothing = update(&shop, &mut terminal, &mut areas, UpdateOptions::default()).unwrap();
    assert_eq!((nothing.installed.len(), nothing.sessions), (0, 1));
    // A library first, then what requires it; nine MiB need a second session.
    shop.package("lib", "1.4.2", b"a library");
    let content: Vec<u8> = (0..9_u32 << 20).map(|n| (n ^ (n >> 8)) as u8).collect();
    let requires = json!([{ "name": "lib", "version": "^1.4" }]);
    let app = shop.package_with("pay-app", "1.2.0", &content, requires);
    let stages = [(100, 1), (100, 0)].map(|(percent, successes)| Stage { percent, successes }).to_vec();
    let deployment = shop.deploy(NewDeployment { stages, ..shop.deployment(app) });
    // The line is cut in the middle; the terminal goes on where it stood.
    let cut = UpdateOptions { cut_after: Some(60), ..UpdateOptions::default() };
    update(&shop, &mut terminal, &mut areas, cut).unwrap_err();
    let updated = update(&shop, &mut terminal, &mut areas, UpdateOptions::default()).unwrap();
    assert_eq!(ids(&updated), ["pay-app 1.2.0"], "the library was installed before the cut");
    assert!(updated.bytes < content.len() as u64 && updated.sessions >= 2, "{updated:?}");
    let kept = shop.get_deployment(deployment);
    assert_eq!((kept.counts.offered, kept.counts.installed, kept.stage), (1, 1, 1));
    let again = update(&shop, &mut terminal, &mut areas, UpdateOptions::default()).unwrap();
    assert_eq!((again.installed.len(), again.bytes), (0, 0));
    shop.world.assert_audit_good();
}

#[test]
fn what_the_products_terminal_refuses_stops_the_deployment() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let (mut terminal, mut areas) = (product(&shop, &pos), Areas::in_memory().unwrap());
    let package = shop.package("pay-app", "1.2.0", b"an application");
    let stop_at = StopRule { failures_percent: 10, at_least: 1 };
    let bad = shop.deploy(NewDeployment { stop_at, ..shop.deployment(package) });
    let good = shop.roll_out("other", "1.0.0", b"something else");
    // The signature in the database is not the one that was published.
    let sql = "DROP TRIGGER packages_keep_their_content";
    shop.world.sql().execute(sql, []).unwrap();
    let sql = "UPDATE packages SET signature = zeroblob(256) WHERE name = 'pay-app'";
    shop.world.sql().execute(sql, []).unwrap();
    let updated = update(&shop, &mut terminal, &mut areas, UpdateOptions::default()).unwrap();
    assert_eq!(ids(&updated), ["other 1.0.0"]);
    let refused: Vec<_> = updated.refused.iter().map(|(id, why)| (id.name.as_str(), why.code())).collect();
    assert_eq!(refused, [("pay-app", "signature")]);
    assert_eq!(shop.get_deployment(bad).state, store::DeploymentState::Stopped);
    assert_eq!(shop.get_deployment(good).counts.installed, 1);
    assert_eq!(shop.world.events("alarm.deployment-stopped", &bad.to_string()).len(), 1);
}

#[test]
fn the_products_terminal_loads_a_key_and_tells_its_operator() {
    use hsm::{Client, Hsm, Sensitive, commands::EnrolOperator};
    use store::TmsStore;
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "operator_required = true");
    let mut terminal = product(&shop, &pos);
    let password = b"correct horse";
    shop.server.block_on(async {
        let hsm = Client::connect(&ESTATE.socket()).await.unwrap();
        let (owner, operator) = (crate::support::estate::ACQUIRER.to_owned(), "op7".to_owned());
        let enrol = EnrolOperator { owner, operator, password: Sensitive::new(password.to_vec()) };
        let sealed = hsm.call(enrol).await.unwrap();
        shop.server.store.put_operator("op7", sealed, crate::support::shop::event("operator")).await.unwrap();
    });
    let link = || Link::new(terminal::connect(shop.server.terminals).unwrap());
    let slot = Slot::new(3).unwrap();
    assert!(tms::load_key(&mut terminal, link(), slot, None).is_err());
    let operator = OperatorPassword { id: "op7".parse().unwrap(), password };
    let (loaded, _link) = tms::load_key(&mut terminal, link(), slot, Some(&operator)).unwrap();
    assert_eq!(shop.world.keys("SN-1001", 3, "active"), [loaded.kcv.to_string()]);
}
