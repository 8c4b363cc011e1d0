//! The product's terminal against the product's server, over TCP; DMK injected by a KLD written from 2-wire.md section 4
//! alone.

use std::{io, net::TcpStream};

use flows::tms_session::OperatorPassword;
use pki::Role;
use serde_json::json;
use store::{NewDeployment, Stage, StopRule};
use terminal::{
    Link, NewTerminal, Terminal, TrustedRoot,
    area::Areas,
    tms::{self, TmsError, UpdateOptions, Updated},
};
use wire::Slot;

use crate::support::{
    estate::ESTATE,
    kld::{self, Injected},
    kld_ec,
    shop::Shop,
    tms::{MODEL, Pos, VENDOR},
    tms_ec::{self, EcPos},
};

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
    let place = format!("{}/00", pos.sn);
    kld::load(terminal.unwrap(), &Injected { sn: &pos.sn, usage: "11", place, key: &pos.dmk, factor: None })
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

/// The same in suite 02, whose sessions are not used up by nine MiB.
#[test]
fn the_products_terminal_is_updated_in_suite_02() {
    let pos = EcPos::new("SN-1001");
    let shop = tms_ec::shop(&[&pos], "");
    let terminal = kld_ec::product("SN-1001", vec![TrustedRoot::of_vendor(shop.maker.root.clone())]);
    let mut terminal = kld_ec::load(terminal, "SN-1001", "11", &pos.dmk, None);
    let mut areas = Areas::in_memory().unwrap();
    let content: Vec<u8> = (0..9_u32 << 20).map(|n| (n ^ (n >> 8)) as u8).collect();
    let deployment = shop.roll_out("pay-app", "1.2.0", &content);
    let cut = UpdateOptions { cut_after: Some(60), ..UpdateOptions::default() };
    update(&shop, &mut terminal, &mut areas, cut).unwrap_err();
    let updated = update(&shop, &mut terminal, &mut areas, UpdateOptions::default()).unwrap();
    assert_eq!((ids(&updated), updated.sessions), (vec!["pay-app 1.2.0".to_owned()], 1));
    assert!(updated.bytes < content.len() as u64, "it goes on where it stood");
    assert_eq!(shop.get_deployment(deployment).counts.installed, 1);
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
