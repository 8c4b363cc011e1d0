//! The operator at the terminal.

use hsm::{Client, Hsm, Sensitive, commands::EnrolOperator};
use store::TmsStore;

use crate::support::{
    estate::{ACQUIRER, ESTATE},
    line::connect,
    shop::{Shop, event},
    tms::{OPERATOR_DEMANDED, Pos, Stop},
};

pub(crate) fn enrol(shop: &Shop, id: &str, password: &str) {
    shop.server.block_on(async {
        let hsm = Client::connect(&ESTATE.socket()).await.unwrap();
        let password = Sensitive::new(password.as_bytes().to_vec());
        let enrol = EnrolOperator { owner: ACQUIRER.into(), operator: id.into(), password };
        let sealed = hsm.call(enrol).await.unwrap();
        shop.server.store.put_operator(id, sealed, event("operator")).await.unwrap();
    });
}

fn with(pos: &Pos, id: &str, password: &str) -> Pos {
    Pos { operator: Some((id.into(), password.into())), ..pos.clone() }
}

fn open(shop: &Shop, pos: &Pos) -> Option<Stop> {
    pos.open(&mut connect(shop.server.terminals)).err()
}

fn refused() -> Option<Stop> {
    Some(Stop::Src("07".into()))
}

#[test]
fn where_an_operator_is_demanded_the_right_one_opens_the_session() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "operator_required = true");
    enrol(&shop, "op7", "correct horse");
    let asked = pos.ask(&mut connect(shop.server.terminals), "0002", None).unwrap();
    assert_eq!(asked.challenge.get(OPERATOR_DEMANDED), [1]);
    assert_eq!(open(&shop, &pos), refused(), "none is named");
    assert_eq!(open(&shop, &with(&pos, "op8", "correct horse")), refused(), "not known");
    assert_eq!(open(&shop, &with(&pos, "op7", "wrong horse")), refused());
    assert_eq!(open(&shop, &with(&pos, "op7", "correct horse")), None);
    assert_eq!(shop.world.events("tms.operator-proved", "op7").len(), 1);
    assert_eq!(shop.world.events("tms.operator-failed", "op7").len(), 1);
    assert_eq!(shop.world.events("tms.refused", "SN-1001").len(), 3);
    // Who is not proven as a terminal learns nothing about operators, and tries no passwords.
    let mut line = connect(shop.server.terminals);
    let named = with(&pos, "op7", "wrong horse");
    let asked = named.ask(&mut line, "0002", None).unwrap();
    assert_eq!(named.prove(&mut line, asked, &[0; 4], 0).err(), Some(Stop::Src("06".into())));
    assert_eq!(shop.world.events("tms.operator-failed", "op7").len(), 1);
}

#[test]
fn a_vendor_may_demand_an_operator_for_its_own() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    enrol(&shop, "op7", "correct horse");
    assert_eq!(open(&shop, &pos), None);
    let vendor = shop.maker.vendor(&shop.files());
    shop.put_vendor(store::Vendor { operator_required: true, ..vendor });
    assert_eq!(open(&shop, &pos), refused(), "noticed without a restart");
    assert_eq!(open(&shop, &with(&pos, "op7", "correct horse")), None);
}

#[test]
fn an_operator_who_is_named_without_need_is_checked_all_the_same() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    enrol(&shop, "op7", "correct horse");
    assert_eq!(open(&shop, &with(&pos, "op7", "wrong horse")), refused());
    assert_eq!(open(&shop, &with(&pos, "op7", "correct horse")), None);
}

#[test]
fn five_wrong_proofs_lock_and_a_person_unlocks() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "operator_required = true");
    enrol(&shop, "op7", "correct horse");
    let (right, wrong) = (with(&pos, "op7", "correct horse"), with(&pos, "op7", "wrong horse"));
    for _ in 0..4 {
        assert_eq!(open(&shop, &wrong), refused());
    }
    assert_eq!(open(&shop, &right), None, "a right one in time makes the wrong ones forgotten");
    for _ in 0..5 {
        assert_eq!(open(&shop, &wrong), refused());
    }
    assert_eq!(open(&shop, &right), refused(), "locked");
    // For keys too, and nothing is made.
    let ended = right.load(&mut connect(shop.server.terminals), 3).err();
    assert_eq!(ended, refused());
    assert_eq!(shop.world.count("tmks"), 0);
    assert_eq!(shop.world.events("alarm.operator-locked", "op7").len(), 1);
    let unlock = shop.server.store.unlock_operator("op7", event("unlock"));
    assert!(shop.server.block_on(unlock).unwrap());
    assert_eq!(open(&shop, &right), None);
}

#[test]
fn a_key_download_needs_the_operator_too() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "operator_required = true");
    enrol(&shop, "op7", "correct horse");
    let load = |pos: &Pos| pos.load(&mut connect(shop.server.terminals), 3).err();
    assert_eq!(load(&pos), refused());
    assert_eq!(load(&with(&pos, "op7", "wrong horse")), refused());
    assert_eq!(shop.world.count("tmks"), 0);
    assert_eq!(load(&with(&pos, "op7", "correct horse")), None);
    assert_eq!(shop.world.keys("SN-1001", 3, "pending").len(), 1);
}
