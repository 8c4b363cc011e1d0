//! The lower suite for who has the higher one, and the reverse, key by key: at the servers and at the terminal.

use serde_json::json;

use super::{
    block::Block,
    peer::{SLOT_B, collect_frame, terminal},
    victim::{Carrier, Victim},
};
use crate::{
    suite_01,
    support::{
        ec::Side,
        estate::{DAY, ESTATE, now},
        https::{self, CMS},
        kms_ec::{self, Ec, KMS_EC, allow, allowance, by_both, ceremony},
        line::{End, connect},
        package::{approval, entry, package, replacing, signed},
        raw::Raw,
        rks::{RawDevice, report},
        rks_ec::{self, EcDevice},
        shop::Shop,
        tms::{self, Pos, Stop},
        tms_ec::EcPos,
        world::{Options, results},
    },
};

const MALFORMED: End = End::Code(0x0002);
const NOT_PROVEN: End = End::Code(0x0006);
const WRONG_SUITE: End = End::Code(0x0009);

/// A server of all flows and both suites.
fn shop() -> Shop {
    let options = Options { suite_02: true, more: "[tms]\n".into(), ..Options::default() };
    let shop = Shop::with_options(&[], &options);
    kms_ec::install(&shop.server);
    rks_ec::install(&shop.server);
    shop
}

/// Key, highest suite proved, of what the server has on record for this serial.
fn on_record(shop: &Shop, sn: &str) -> Vec<(String, i64)> {
    let sql = shop.world.sql();
    let mut rows = sql.prepare("SELECT key, suite FROM key_suites WHERE sn = ?1 ORDER BY key").unwrap();
    let found = rows.query_map([sn], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    found.map(Result::unwrap).collect()
}

/// Attack 20, at the servers: TK, DIK2 and DMK are of the suite on record, whatever DF01 says. The other suite is a
/// stranger's, both ways; the record does not move.
#[test]
fn downgrade() {
    let shop = shop();
    let address = shop.server.terminals;
    let (terminal, device, pos) = (Ec::new("SN-2"), EcDevice::new("SN-2"), EcPos::new("SN-2"));
    let (old, old_device, old_pos) = (Raw::new("SN-1"), RawDevice::new("SN-1"), Pos::new("SN-1"));
    kms_ec::collect_all(&shop.server, &[&terminal]);
    shop.server.collect(&[&old]);
    let mut entry = device.entry();
    entry["keys"].as_array_mut().unwrap().extend(pos.entry()["keys"].as_array().unwrap().clone());
    rks_ec::take(&shop.server, &rks_ec::report("run-02", &[entry]));
    let mut entry = old_device.entry();
    let dmk = old_device.key_entry("dmk", 0, &old_pos.dmk);
    entry["keys"].as_array_mut().unwrap().push(dmk);
    let cms = signed(&ESTATE.operator, &report("run-01", &[entry]));
    assert_eq!(results(&https::post(shop.server.https, "/v1/kld-reports", CMS, &cms))[0]["ok"], json!(true));
    terminal.download(address, 0).unwrap();
    old.download(address, 0).unwrap();
    let before = [on_record(&shop, "SN-1"), on_record(&shop, "SN-2")];
    assert!(before[1].iter().all(|(_, suite)| *suite == 2), "{before:?}");

    // Suite 02's, spoken to in suite 01.
    assert_eq!(Raw::new("SN-2").intrude(address, 0), NOT_PROVEN);
    let lower = RawDevice { factor: device.factor.clone(), ..RawDevice::new("SN-2") };
    let mut line = connect(address);
    let asked = lower.ask(&mut line, 0).unwrap();
    RawDevice::prove(&mut line, &asked, &[7; 80]);
    assert_eq!(line.end(), NOT_PROVEN);
    let lower = Pos::new("SN-2");
    let mut line = connect(address);
    let asked = lower.ask(&mut line, "0002", None).unwrap();
    let sac_1 = vec![7; asked.challenge.get(tms::TAC_1).len()];
    assert_eq!(lower.prove(&mut line, asked, &sac_1, 0).err(), Some(Stop::Src("06".into())));

    // Suite 01's, spoken to in suite 02.
    let mut line = connect(address);
    let higher = Ec::new("SN-1");
    let asked = higher.ask(&mut line, 0).unwrap();
    assert!(!asked.proven);
    let mac_t = asked.mac_t();
    assert_eq!(higher.receive(&mut line, asked, &mac_t).map(drop), Err(NOT_PROVEN));
    let higher = EcDevice { factor: old_device.factor.clone(), ..EcDevice::new("SN-1") };
    let mut line = connect(address);
    let mut asked = higher.ask(&mut line, 0).unwrap();
    assert!(!asked.proven);
    let mac_t = EcDevice::mac_t(&asked);
    EcDevice::prove(&mut line, &mut asked, &mac_t);
    assert_eq!(line.end(), NOT_PROVEN);
    let higher = EcPos::new("SN-1");
    let mut line = connect(address);
    let asked = higher.ask(&mut line, "0002", None).unwrap();
    assert!(!asked.proven);
    let proof = higher.proof(&asked, 0);
    assert_eq!(higher.prove(&mut line, asked, &proof).err(), Some(Stop::Src("06".into())));

    // A suite that nobody has: read as suite 01's, of which it has not the form.
    let mut line = connect(address);
    let mut hello = terminal.hello(0, &Side::new());
    hello[7] = 3;
    line.send(&hello);
    assert_eq!(line.end(), MALFORMED);

    assert_eq!([on_record(&shop, "SN-1"), on_record(&shop, "SN-2")], before);
    shop.world.assert_audit_good();
}

/// Attack 20: a slot that has held a key of suite 02 gets none of suite 01, though the device has proved itself.
#[test]
fn downgrade_of_a_slot() {
    let shop = shop();
    let address = shop.server.terminals;
    let (device, pos) = (RawDevice::new("SN-1"), EcPos::new("SN-1"));
    rks_ec::take(&shop.server, &rks_ec::report("run-02", &[pos.entry()]));
    let cms = signed(&ESTATE.operator, &report("run-01", &[device.entry()]));
    assert_eq!(results(&https::post(shop.server.https, "/v1/kld-reports", CMS, &cms))[0]["ok"], json!(true));
    let mut line = connect(address);
    let (session, tmk) = pos.load(&mut line, 5).unwrap();
    line.send(&session.confirm(&tmk));
    line.expect(crate::support::tlv::DONE).unwrap();
    let held = shop.world.keys("SN-1", 5, "active");
    assert_eq!(device.load_on(&mut connect(address), 5).unwrap_err(), WRONG_SUITE);
    assert_eq!(shop.world.keys("SN-1", 5, "active"), held);
    assert!(shop.world.keys("SN-1", 5, "pending").is_empty());
}

/// Attack 20: down it goes by two people alone, with a reason and an end, and at that end it is over. The database itself
/// refuses what is not so.
#[test]
fn downgrade_without_leave() {
    let shop = shop();
    let address = shop.server.terminals;
    let new = Ec::new("SN-1");
    kms_ec::collect_all(&shop.server, &[&new]);
    new.download(address, 0).unwrap();
    let old = Raw::new("SN-1");
    let lower = || {
        let cms = signed(&ESTATE.operator, &package(&[replacing(entry(&old))]));
        results(&shop.server.upload(&cms)).remove(0)["code"].clone()
    };
    assert_eq!(lower(), json!("lower-suite"));
    let until = allowance("SN-1", now() + DAY);
    assert_eq!(allow(&shop.server, &signed(&ESTATE.operator, &until)).status, 403);
    assert_eq!(allow(&shop.server, &by_both(&allowance("SN-1", now() + 91 * DAY))).status, 422);
    assert_eq!(lower(), json!("lower-suite"));
    let by_hand = "UPDATE key_suites SET suite = 1 WHERE sn = 'SN-1'";
    assert!(shop.world.sql().execute(by_hand, []).is_err(), "by hand neither");
    assert_eq!(allow(&shop.server, &by_both(&until)).status, 200);
    assert_eq!(lower(), json!("awaits-approval"));
    let sql = "SELECT id, fingerprint FROM replacements WHERE sn = 'SN-1' AND state = 'waiting'";
    let (id, fingerprint): (i64, String) =
        shop.world.sql().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let approved = approval("replace-tk", id, "SN-1", &fingerprint);
    assert_eq!(shop.server.approve(&signed(&ESTATE.administrator, &approved)).status, 200);
    old.download(address, 0).unwrap();
    assert_eq!(allow(&shop.server, &by_both(&allowance("SN-1", now() - 5))).status, 200);
    assert_eq!(old.download(address, 0).map(drop), Err(WRONG_SUITE));
    // And up again, by itself.
    let newer = new.next();
    let nonce = ceremony(&shop.server, kms_ec::STATION);
    let again = kms_ec::package(&nonce, &[replacing(newer.entry(&nonce))]);
    assert_eq!(results(&shop.server.upload(&by_both(&again)))[0]["code"], json!("awaits-approval"));
    shop.world.assert_audit_good();
}

/// Attack 20, at the terminal: its PIN pad remembers for each key the highest suite in which it was loaded. A genuine KLD
/// with a genuine certificate of suite 01 loads none of them any more, and nothing of what is held changes.
#[test]
fn downgrade_at_the_terminal() {
    for (carrier, usage, index) in [
        (Carrier::BDmk, ["11", "N"], 0),
        (Carrier::BDik2, ["12", "N"], 0),
        (Carrier::BTmk, ["K1", "B"], SLOT_B),
    ] {
        let key = suite_01::random_key::<24>();
        let factor = (carrier == Carrier::BDik2).then_some(&b"a factor"[..]);
        let lower = |terminal| {
            let mut victim = suite_01::Victim::holding(terminal);
            let end = victim.inject(usage, index, &key, factor, &suite_01::Block::wrap);
            (end, victim.terminal)
        };
        assert_eq!(lower(terminal()).0, Ok(()), "{carrier:?}: a terminal that has none takes it");
        let mut victim = Victim::holding(terminal());
        assert_eq!(victim.deliver(carrier, &Block::wrap), Ok(()));
        let before = victim.terminal.status();
        let (end, terminal) = lower(victim.terminal);
        assert_eq!(end, Err(WRONG_SUITE), "{carrier:?}");
        let after = terminal.status();
        assert_eq!((&after.slots, &after.dmk, &after.dik2), (&before.slots, &before.dmk, &before.dik2));
        let counters = victim.counters;
        let mut victim = Victim { counters, ..Victim::holding(terminal) };
        assert_eq!(victim.deliver(carrier, &Block::wrap), Ok(()), "{carrier:?}: in its own suite it goes on");
    }
    // TK: collected in suite 02, asked in suite 01.
    let mut pos = terminal();
    let asked = collect_frame(&KMS_EC.work, &crate::support::ec::random());
    let collected = terminal::collect::answer(&mut pos, &asked).unwrap();
    let lower = suite_01::collect_frame(&ESTATE.work.certificate);
    let refusal = terminal::collect::answer(&mut pos, &lower).unwrap_err();
    assert_eq!(refusal.fault.code.number(), 0x0008, "latched, whatever suite asks");
    assert_eq!(pos.status().collected.unwrap().fingerprint, collected.fingerprint);
}
