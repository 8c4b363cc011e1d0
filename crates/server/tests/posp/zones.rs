//! Zone keys: imported and made under a zone master key, each the zone's active one from then on.

use hsm::{Client, commands::ZoneAlgorithm};
use keyblock::{Kbpk, Version};
use keyferry_server::host::zone::{self, By, ZoneError};
use paycrypto::TdesKey;
use pinblock::Format;

use crate::{
    setting::{PAN, SLOT, Setting},
    support::{
        estate::{ACQUIRER, ESTATE},
        posp::{bytes_of, item, zone_block},
        raw::check_value,
    },
};

const BY: By<'_> = By { owner: ACQUIRER, actor: "Zoe Zone" };

#[test]
fn a_made_key_goes_to_the_other_side_and_takes_the_place_of_the_one_before() {
    let mut setting = Setting::new();
    let (zone, under) = setting.server.block_on(async {
        let hsm = Client::connect(ESTATE.socket()).await.unwrap();
        let master = &setting.zone.master_block;
        let wanted = ("issuer-1", ZoneAlgorithm::Tdes);
        zone::make(&hsm, &*setting.server.store, master, wanted, BY).await.unwrap()
    });
    let opened = Kbpk::new(Version::B, &setting.zone.master).unwrap().unwrap(&under).unwrap();
    let kcv: String = check_value(&opened.key).iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!((zone.algorithm.as_str(), zone.kcv), ("tdes", kcv.clone()));

    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let answer = setting.posp.post("/v1/pin/translate", &item("SN-1", SLOT, PAN, (0, 0), &block, "issuer-1"));
    let translated: [u8; 8] = bytes_of(&answer.json["pin_block"]).try_into().unwrap();
    let clear = TdesKey::from_bytes(&opened.key).unwrap().decrypt_block(translated);
    let pan = pinblock::Pan::new(PAN).unwrap();
    assert!(pinblock::decode(Format::Iso0, &clear, Some(&pan)).is_ok(), "under the new key");

    let listed = setting.server.block_on(zone::list(&*setting.server.store)).unwrap();
    assert_eq!(
        listed.iter().map(|zone| (&*zone.name, &*zone.kcv)).collect::<Vec<_>>(),
        [("issuer-1", &*kcv)]
    );
    assert_eq!(setting.world.events("zone-key.imported", "issuer-1").len(), 1);
    let made = setting.world.events("zone-key.made", "issuer-1");
    assert_eq!((made.len(), made[0].actor.as_str()), (1, "Zoe Zone"));
    setting.world.assert_audit_good();
}

#[test]
fn what_the_hsm_refuses_changes_nothing() {
    let setting = Setting::new();
    let strange = zone_block(TdesKey::generate24().unwrap().expose(), &setting.zone.key);
    let poor = zone_block(&setting.zone.master, &[0x01; 24]);
    let master = &setting.zone.master_block;
    let import = |name: &str, block: &str| {
        setting.server.block_on(async {
            let hsm = Client::connect(ESTATE.socket()).await.unwrap();
            zone::import(&hsm, &*setting.server.store, master, (name, block), BY).await
        })
    };
    for block in [&*strange, &*poor, "", "B0016P0TB00N0000"] {
        assert!(matches!(import("issuer-1", block), Err(ZoneError::Hsm(_))), "{block}");
    }
    let good = zone_block(&setting.zone.master, &setting.zone.key);
    for name in ["", "a b", "a/b", &"x".repeat(33)] {
        assert!(matches!(import(name, &good), Err(ZoneError::Name(_))), "{name:?}");
    }
    let listed = setting.server.block_on(zone::list(&*setting.server.store)).unwrap();
    assert_eq!((listed.len(), &listed[0].kcv), (1, &setting.zone.zone.kcv));
    assert_eq!(setting.world.events("zone-key.imported", "issuer-1").len(), 1);
}
