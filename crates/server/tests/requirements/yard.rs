//! One estate with terminals of both suites and every flow, and what can be done in it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
};

use hsm::{Client, KeyBlock};
use keyferry_server::host::zone::{self, By};
use serde_json::{Value, json};
use store::{SqliteStore, TmsStore as _};
use tokio::runtime::Runtime;

use crate::support::{
    estate::{ACQUIRER, ESTATE},
    https::{self, CMS},
    kms_ec::{self, Ec},
    line::connect,
    package::{entry, package, signed},
    partner::{VENDOR, VENDOR_01, VENDOR_02, order, sections, take_order},
    posp::{POSP, zone_block, zone_master},
    raw::{Raw, Tmk},
    rks::{RawDevice, report},
    rks_ec::{self, EcDevice},
    shop::{Maker, event},
    tms::Pos,
    tms_ec::EcPos,
    world::{Options, Server, World},
};

/// Terminals of every kind that were collected, loaded and reported, and none of which has asked for anything yet.
pub(crate) struct Yard {
    pub(crate) world: World,
    terminals: SocketAddr,
    https: SocketAddr,
    store: Arc<SqliteStore>,
    raw: Raw,
    ec: Ec,
    device: RawDevice,
    ec_device: EcDevice,
    pos: Pos,
    ec_pos: EcPos,
    signing_in: (Raw, Tmk),
    zone_master: (KeyBlock, Vec<u8>),
    slot: AtomicU8,
    run: AtomicU32,
}

/// Something that ends with a key, or with what leads to one.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Whether it was done.
    pub(crate) act: fn(&Yard) -> bool,
    /// The events that it leaves, in their order, each about this subject.
    pub(crate) leaves: &'static [(&'static str, &'static str)],
}

/// All of them.
pub(crate) const OPERATIONS: [Operation; 14] = [
    Operation {
        name: "an upload",
        act: upload,
        leaves: &[("collection.received", ""), ("collection.terminal", "SN-UP")],
    },
    Operation { name: "a ceremony", act: ceremony, leaves: &[("ceremony.given", "")] },
    Operation {
        name: "a report of a KLD",
        act: kld_report,
        leaves: &[("kld-report.received", ""), ("kld.terminal", "SN-LO")],
    },
    Operation { name: "an order", act: an_order, leaves: &[("order.added", "PO-")] },
    Operation { name: "a batch", act: batch, leaves: &[("batch.received", ""), ("batch.terminal", "SN-BA")] },
    Operation {
        name: "a batch of suite 02",
        act: batch_02,
        leaves: &[("batch.received", ""), ("batch.terminal", "SN-BB")],
    },
    Operation { name: "a zone key", act: zone_key, leaves: &[("zone-key.imported", "zone-")] },
    Operation { name: "flow A", act: flow_a, leaves: &[("tmk.made", "SN-A1"), ("tmk.confirmed", "SN-A1")] },
    Operation {
        name: "flow A of suite 02",
        act: flow_a_02,
        leaves: &[("tmk.made", "SN-A2"), ("tmk.confirmed", "SN-A2")],
    },
    Operation { name: "flow C", act: flow_c, leaves: &[("tmk.made", "SN-C1")] },
    Operation { name: "flow C of suite 02", act: flow_c_02, leaves: &[("tmk.made", "SN-C2")] },
    Operation { name: "flow E", act: flow_e, leaves: &[("tmk.made", "SN-E1")] },
    Operation { name: "flow E of suite 02", act: flow_e_02, leaves: &[("tmk.made", "SN-E2")] },
    Operation {
        name: "flow F",
        act: flow_f,
        leaves: &[("sign-in.answered", "SN-F1"), ("sign-in.confirmed", "SN-F1")],
    },
];

impl Yard {
    /// The yard, and the server that must stay as long as something is done in it.
    pub(crate) fn new() -> (Yard, Server) {
        let world = World::new();
        let partners = sections(&world, &[&VENDOR_01, &VENDOR_02]);
        let more = format!("{POSP}[host]\ntdk = true\n[tms]\n{partners}");
        let server = world.start(&Options { suite_02: true, more, ..Options::default() });
        kms_ec::install(&server);
        rks_ec::install(&server);
        let (raw, signing_in, ec) =
            (Raw::new("SN-A1"), Raw::new("SN-F1"), Ec::with_pin_pad("SN-A2", "PP-A2"));
        server.collect(&[&raw, &signing_in]);
        kms_ec::collect_all(&server, &[&ec]);
        let (device, pos) = (RawDevice::new("SN-C1"), Pos::new("SN-E1"));
        let mut of_pos = pos.device().entry();
        of_pos["keys"] = json!([pos.device().key_entry("dmk", 0, &pos.dmk)]);
        assert_eq!(post_report(server.https, &report("run-01", &[device.entry(), of_pos])), 200);
        let (ec_device, ec_pos) = (EcDevice::new("SN-C2"), EcPos::new("SN-E2"));
        rks_ec::take(&server, &rks_ec::report("run-02", &[ec_device.entry(), ec_pos.entry()]));
        take_order(&server, &order("YARD", VENDOR, None));
        let maker = Maker::new();
        server.block_on(server.store.put_vendor(maker.vendor(world.folder()), event("vendor"))).unwrap();
        let tmk = signing_in.download(server.terminals, 0).unwrap();
        let yard = Yard {
            world,
            terminals: server.terminals,
            https: server.https,
            store: Arc::clone(&server.store),
            raw,
            ec,
            device,
            ec_device,
            pos,
            ec_pos,
            signing_in: (signing_in, tmk),
            zone_master: zone_master(),
            slot: AtomicU8::new(0),
            run: AtomicU32::new(0),
        };
        (yard, server)
    }

    /// Another slot each time.
    fn slot(&self) -> u8 {
        self.slot.fetch_add(1, Ordering::Relaxed) % 10
    }

    /// Another number each time.
    fn number(&self) -> u32 {
        self.run.fetch_add(1, Ordering::Relaxed)
    }

    /// Runs each flow once: its letter and suite, and every byte that came from the server.
    pub(crate) fn received(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut lines: [_; 7] = std::array::from_fn(|_| connect(self.terminals));
        let [a, a_02, c, c_02, e, e_02, f] = &mut lines;
        self.raw.download_on(a, self.slot()).unwrap();
        self.ec.download_on(a_02, self.slot()).unwrap();
        self.device.load_on(c, 0).unwrap();
        self.ec_device.load_on(c_02, 0).unwrap();
        self.pos.load(e, self.slot()).unwrap();
        self.ec_pos.load(e_02, self.slot()).unwrap();
        self.signing_in.0.sign_in(f, 0, &self.signing_in.1).unwrap();
        let flows = ["A", "A of suite 02", "C", "C of suite 02", "E", "E of suite 02", "F"];
        flows.into_iter().zip(lines.map(|line| line.received().to_vec())).collect()
    }

    /// How many keys there are of each kind.
    pub(crate) fn keys(&self) -> Vec<i64> {
        let tables = [
            "terminals",
            "tmks",
            "working_keys",
            "zone_keys",
            "devices",
            "ceremonies",
            "kld_reports",
            "orders",
            "received_batches",
        ];
        tables.map(|table| self.world.count(table)).to_vec()
    }
}

fn post_report(address: SocketAddr, report: &Value) -> u16 {
    https::post(address, "/v1/kld-reports", CMS, &signed(&ESTATE.operator, report)).status
}

fn upload(yard: &Yard) -> bool {
    let terminal = Raw::new(&format!("SN-UP-{}", yard.number()));
    let cms = signed(&ESTATE.operator, &package(&[entry(&terminal)]));
    https::post(yard.https, "/v1/collections", CMS, &cms).status == 200
}

fn ceremony(yard: &Yard) -> bool {
    let cms = signed(&ESTATE.operator, &kms_ec::asking(kms_ec::STATION));
    https::post(yard.https, "/v1/ceremonies", CMS, &cms).status == 200
}

fn kld_report(yard: &Yard) -> bool {
    let number = yard.number();
    let device = RawDevice::new(&format!("SN-LO-{number}"));
    post_report(yard.https, &report(&format!("run-{number}"), &[device.entry()])) == 200
}

fn an_order(yard: &Yard) -> bool {
    let cms = kms_ec::by_both(&order(&format!("PO-{}", yard.number()), VENDOR, None));
    https::post(yard.https, "/v1/orders", CMS, &cms).status == 200
}

fn batch(yard: &Yard) -> bool {
    let terminal = Raw::new(&format!("SN-BA-{}", yard.number()));
    let cms = VENDOR_01.batch("YARD", &[VENDOR_01.entry(&terminal)]);
    https::post(yard.https, "/v1/batches", CMS, &cms).status == 200
}

fn batch_02(yard: &Yard) -> bool {
    let terminal = Ec::new(&format!("SN-BB-{}", yard.number()));
    let cms = VENDOR_02.batch("YARD", &[VENDOR_02.entry_ec(&terminal)]);
    https::post(yard.https, "/v1/batches", CMS, &cms).status == 200
}

fn zone_key(yard: &Yard) -> bool {
    let name = format!("zone-{}", yard.number());
    let (block, master) = &yard.zone_master;
    let key = paycrypto::TdesKey::generate24().unwrap();
    let wrapped = zone_block(master, key.expose());
    Runtime::new().unwrap().block_on(async {
        let hsm = Client::connect(ESTATE.socket()).await.unwrap();
        let by = By { owner: ACQUIRER, actor: "Zoe Zone" };
        zone::import(&hsm, &*yard.store, block, (&name, &wrapped), by).await.is_ok()
    })
}

fn flow_a(yard: &Yard) -> bool {
    yard.raw.download(yard.terminals, yard.slot()).is_ok()
}

fn flow_a_02(yard: &Yard) -> bool {
    yard.ec.download(yard.terminals, yard.slot()).is_ok()
}

fn flow_c(yard: &Yard) -> bool {
    yard.device.fetch(&mut connect(yard.terminals), 0).is_ok()
}

fn flow_c_02(yard: &Yard) -> bool {
    yard.ec_device.fetch(&mut connect(yard.terminals), 0).is_ok()
}

fn flow_e(yard: &Yard) -> bool {
    yard.pos.load(&mut connect(yard.terminals), yard.slot()).is_ok()
}

fn flow_e_02(yard: &Yard) -> bool {
    yard.ec_pos.load(&mut connect(yard.terminals), yard.slot()).is_ok()
}

fn flow_f(yard: &Yard) -> bool {
    let (terminal, tmk) = &yard.signing_in;
    terminal.sign_in(&mut connect(yard.terminals), 0, tmk).is_ok()
}
