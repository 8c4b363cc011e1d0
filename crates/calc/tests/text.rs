//! What people read.

use keyferry_calc::{Algorithm, Error, MacAlgorithm, read_hex, to_hex};

fn bytes(hex: &str) -> Vec<u8> {
    read_hex(hex, "the key").map(|bytes| bytes.to_vec()).unwrap_or_default()
}

#[test]
fn keys_may_be_typed_in_groups() {
    let key = read_hex("0123 4567-89ab cdef\r\n", "the key").expect("hexadecimal");
    assert_eq!(*to_hex(&key), "0123456789ABCDEF");
    assert_eq!(read_hex("0123x", "the key").err(), Some(Error::Hex { what: "the key" }));
    assert_eq!(read_hex("012", "the key").err(), Some(Error::Hex { what: "the key" }));
}

#[test]
fn a_check_value_is_one_line_for_a_good_key_and_more_for_others() {
    let good =
        keyferry_calc::kcv(Algorithm::Tdes, &bytes("0123456789ABCDEFFEDCBA9876543210")).expect("16 bytes");
    assert_eq!(good.to_string(), "08D7B4");
    let poor = keyferry_calc::kcv(Algorithm::Tdes, &[0; 16]).expect("16 bytes");
    assert_eq!(
        poor.to_string(),
        "8CA64D\nweak: a part of the key is one of the 4 weak DES keys\nweak: parts of the key are equal\n\
         note: the parity is not odd"
    );
}

#[test]
fn a_mac_is_printed_in_upper_case() {
    let algorithm = MacAlgorithm::parse("x9.9").expect("known");
    let padding = algorithm.padding(None).expect("a default");
    let data = bytes("37363534333231204E6F77206973207468652074696D6520666F7220");
    let mac = keyferry_calc::mac(algorithm, padding, &bytes("0123456789ABCDEF"), &data).expect("8 bytes");
    assert_eq!(mac.to_string(), "F1D30F68");
}

#[test]
fn a_block_is_printed_field_by_field() {
    let block = "B0104B0TX12S0100KS1800604B120F9292800000BB68BE8680A400D9191AD4ECE45B6E6C0D21C4738A52190E248719E24B433627";
    let header = "version        B (TDES, key derivation binding)\nusage          B0\nalgorithm      T\n\
                  mode of use    X\nkey version    12\nexportability  S\noptional KS    00604B120F9292800000";
    let read = keyferry_calc::parse(block).expect("well formed").to_string();
    assert_eq!(
        read,
        format!(
            "{header}\nencrypted key  24 bytes\nMAC            248719E24B433627 (not checked: that needs the protection key)"
        )
    );
    let opened =
        keyferry_calc::unwrap(&bytes("1D22BF32387C600AD97F9B97A51311AC"), block).expect("its own key");
    let text = opened.text();
    assert!(text.starts_with("key            E8BC63E5479455E26577F715D587FE68\n"), "{}", *text);
    assert!(text.ends_with(header), "{}", *text);

    let again =
        keyferry_calc::wrap(&bytes("1D22BF32387C600AD97F9B97A51311AC"), &opened.header, opened.key(), None);
    assert!(again.expect("wraps").to_string().starts_with("B0120B0TX12S0100KS18"));
}

#[test]
fn nothing_that_is_printed_by_mistake_holds_a_key() {
    let block = "B0104B0TX12S0100KS1800604B120F9292800000BB68BE8680A400D9191AD4ECE45B6E6C0D21C4738A52190E248719E24B433627";
    let opened =
        keyferry_calc::unwrap(&bytes("1D22BF32387C600AD97F9B97A51311AC"), block).expect("its own key");
    let combined =
        keyferry_calc::combine(Algorithm::Tdes, &[&[0xE8; 16], &[0x11; 16]]).expect("two components");
    let parity = keyferry_calc::parity(&[0xE8; 8]).expect("8 bytes");
    let printed = format!("{opened:?} {combined:?} {parity:?}");
    for canary in ["E8BC", "e8bc", "232, 188", "249, 249", "E9", "233, 233", "232, 232"] {
        assert!(!printed.contains(canary), "{canary}: {printed}");
    }
}

#[test]
fn parity_and_components_are_printed() {
    assert_eq!(*keyferry_calc::parity(&bytes("0123456789ABCDEF")).expect("8 bytes").text(), "odd parity");
    let even = keyferry_calc::parity(&bytes("0022446688AACCEE")).expect("8 bytes");
    assert_eq!(*even.text(), "with odd parity: 0123456789ABCDEF\nnote: the parity is not odd");

    let parts = [bytes("0123456789ABCDEFFEDCBA9876543210"), bytes("1032547698BADCFE0123456789ABCDEF")];
    let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let text = keyferry_calc::combine(Algorithm::Tdes, &slices).expect("two components").text();
    assert!(text.starts_with("component 1    check value 08D7B4\ncomponent 2    check value "), "{}", *text);
    assert!(text.contains("\nkey            1111111111111111FFFFFFFFFFFFFFFF\ncheck value    "), "{}", *text);
}
