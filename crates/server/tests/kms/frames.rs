//! Frames and fields that are not as 2-wire.md sections 1 and 2 have them: 0002, 0003 for a type, and the end.

use crate::support::{
    line::{End, connect},
    raw::{Raw, rnd1},
    tlv::{self, field, frame, frame_of},
    world::{Server, World},
};

const MALFORMED: End = End::Code(0x0002);
const UNEXPECTED: End = End::Code(0x0003);

fn serve() -> (World, Server, Raw) {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    (world, server, terminal)
}

/// Sends each frame on a connection of its own, as its first; and again where TK_REPLY is expected.
fn each_ends(frames: &[Vec<u8>], end: End) {
    let (world, server, terminal) = serve();
    for (number, bytes) in frames.iter().enumerate() {
        let mut line = connect(server.terminals);
        line.send(bytes);
        assert_eq!(line.end(), end, "frame {number} as the first: {bytes:02X?}");
        let mut line = connect(server.terminals);
        terminal.ask(&mut line, 0).unwrap();
        line.send(bytes);
        assert_eq!(line.end(), end, "frame {number} as the third: {bytes:02X?}");
    }
    assert_eq!(world.count("tmks"), 0);
    terminal.download(server.terminals, 0).expect("the server goes on");
}

/// Sends each set of fields as TK_HELLO.
fn each_hello_ends(hellos: &[Vec<u8>], end: End) {
    let (world, server, terminal) = serve();
    for (number, fields) in hellos.iter().enumerate() {
        let mut line = connect(server.terminals);
        line.send(&frame(tlv::HELLO, fields));
        assert_eq!(line.end(), end, "HELLO {number}: {fields:02X?}");
    }
    assert_eq!(world.count("tmks"), 0);
    terminal.download(server.terminals, 0).expect("the server goes on");
}

/// TK_HELLO of SN-1 with one field put in the place of another.
fn hello_with(tag: u16, replacement: &[u8]) -> Vec<u8> {
    let fields = [
        (tlv::SUITE, field(tlv::SUITE, &[1])),
        (tlv::SN, field(tlv::SN, b"SN-1")),
        (tlv::SLOT, field(tlv::SLOT, &[0])),
        (tlv::RND1, field(tlv::RND1, &rnd1())),
    ];
    fields
        .iter()
        .flat_map(|(found, field)| if *found == tag { replacement } else { field })
        .copied()
        .collect()
}

/// TK_HELLO of SN-1 with more after it.
fn hello_and(more: &[u8]) -> Vec<u8> {
    [&hello_with(0, &[])[..], more].concat()
}

#[test]
fn a_frame_that_is_too_short_is_malformed() {
    each_ends(&[vec![0, 0], vec![0, 1, 1], vec![0, 0, 0, 2, 1, 1]], MALFORMED);
}

#[test]
fn another_version_is_malformed() {
    each_ends(&[0x00, 0x02, 0x10, 0x81, 0xFF].map(|version| frame_of(&[version, 0x01])), MALFORMED);
}

#[test]
fn an_unknown_type_is_unexpected() {
    each_ends(
        &[0x00, 0x07, 0x10, 0x17, 0x2F, 0x57, 0x7E, 0x80, 0xFF].map(|kind| frame(kind, &[])),
        UNEXPECTED,
    );
}

#[test]
fn the_longest_frame_is_read_and_what_goes_past_its_end_is_malformed() {
    let (_world, server, terminal) = serve();
    let hello = terminal.hello_fields(0, rnd1());
    // Unlisted tags are skipped, so a HELLO may fill the whole frame.
    let filling = 65_535 - 2 - hello.len() - 5;
    let mut line = connect(server.terminals);
    let longest = frame(tlv::HELLO, &[&hello[..], &field(0xDF7F, &vec![0xAA; filling])].concat());
    assert_eq!(longest.len(), 2 + 65_535);
    line.send(&longest);
    line.expect(tlv::CHALLENGE).unwrap();
    // One byte more announced than the frame holds.
    let mut past = field(0xDF7F, &vec![0xAA; filling + 1]);
    past.truncate(filling + 5);
    let mut line = connect(server.terminals);
    line.send(&frame(tlv::HELLO, &[&hello[..], &past].concat()));
    assert_eq!(line.end(), MALFORMED);
}

#[test]
fn a_cut_field_is_malformed() {
    let cut: [&[u8]; 6] =
        [&[0xDF], &[0xDF, 0x01], &[0xDF, 0x7E, 0x01], &[0xDF, 0x7E, 0x81], &[0xDF, 0x7E, 0x82, 1], &[0]];
    each_hello_ends(&cut.map(hello_and), MALFORMED);
}

#[test]
fn a_tag_out_of_range_is_malformed() {
    let tags = [0x0000, 0x9F02, 0xDF00, 0xDF80, 0xDFFF, 0xDE01, 0xE001, 0xFF20, 0xFF30, 0xFFFF];
    each_hello_ends(&tags.map(|tag| hello_and(&field(tag, &[1]))), MALFORMED);
}

#[test]
fn a_repeated_tag_is_malformed_even_where_it_is_not_listed() {
    let twice = |tag, value: &[u8]| hello_and(&[field(tag, value), field(tag, value)].concat());
    each_hello_ends(
        &[
            hello_and(&field(tlv::SUITE, &[1])),
            hello_and(&field(tlv::SN, b"SN-1")),
            hello_and(&field(tlv::RND1, &rnd1())),
            twice(0xDF7F, &[]),
            twice(0xDF52, &[1]),
        ],
        MALFORMED,
    );
}

#[test]
fn a_length_that_is_not_minimal_or_not_definite_is_malformed() {
    let filler = [0xAA; 0x100];
    let long = |head: &[u8], length: usize| hello_and(&[&[0xDF, 0x7F], head, &filler[..length]].concat());
    each_hello_ends(
        &[
            long(&[0x81, 0x00], 0),
            long(&[0x81, 0x7F], 0x7F),
            long(&[0x82, 0x00, 0x01], 1),
            long(&[0x82, 0x00, 0xFF], 0xFF),
            long(&[0x80], 0),
            long(&[0x83, 0x00, 0x01, 0x00], 0x100),
            long(&[0xFF], 0),
            hello_with(tlv::SUITE, &[0xDF, 0x01, 0x81, 0x01, 0x01]),
        ],
        MALFORMED,
    );
}

#[test]
fn rnd1_with_its_top_bit_set_is_malformed() {
    let wrong = [0x80, 0x81, 0xFF].map(|top| {
        let mut rnd1 = rnd1();
        rnd1[0] = top;
        hello_with(tlv::RND1, &field(tlv::RND1, &rnd1))
    });
    each_hello_ends(&wrong, MALFORMED);
}

#[test]
fn a_pin_pad_serial_that_is_the_terminals_is_malformed() {
    each_hello_ends(&[hello_and(&field(tlv::PIN_PAD, b"SN-1"))], MALFORMED);
}

#[test]
fn slot_100_is_malformed() {
    each_hello_ends(
        &[100, 101, 0xFF].map(|slot| hello_with(tlv::SLOT, &field(tlv::SLOT, &[slot]))),
        MALFORMED,
    );
}

#[test]
fn fields_of_other_lengths_or_characters_are_malformed() {
    let mut wrong = vec![
        hello_with(tlv::SUITE, &field(tlv::SUITE, &[])),
        hello_with(tlv::SUITE, &field(tlv::SUITE, &[1, 1])),
        hello_with(tlv::SLOT, &field(tlv::SLOT, &[])),
        hello_with(tlv::SLOT, &field(tlv::SLOT, &[0, 0])),
        hello_with(tlv::RND1, &field(tlv::RND1, &[1; 7])),
        hello_with(tlv::RND1, &field(tlv::RND1, &[1; 9])),
        hello_and(&field(tlv::PIN_PAD, b"")),
        hello_and(&field(tlv::PIN_PAD, b"PP 1")),
    ];
    let serials: [&[u8]; 7] =
        [b"", &[b'A'; 33], b"SN/1", b"SN 1", b"SN-1\0", b"SN-\xC3\x89", b"SN-1' OR '1'='1"];
    wrong.extend(serials.map(|serial| hello_with(tlv::SN, &field(tlv::SN, serial))));
    each_hello_ends(&wrong, MALFORMED);
}

#[test]
fn a_missing_field_is_malformed() {
    each_hello_ends(&[tlv::SUITE, tlv::SN, tlv::SLOT, tlv::RND1].map(|tag| hello_with(tag, &[])), MALFORMED);
    let (_world, server, terminal) = serve();
    for fields in [vec![], field(tlv::CRND2, &[1; 7]), field(tlv::CRND2, &[1; 9]), field(tlv::CRND1, &[1; 8])]
    {
        let mut line = connect(server.terminals);
        terminal.ask(&mut line, 0).unwrap();
        line.send(&frame(tlv::REPLY, &fields));
        assert_eq!(line.end(), MALFORMED, "TK_REPLY {fields:02X?}");
    }
}

#[test]
fn a_malformed_key_confirm_leaves_the_key_pending() {
    let (world, server, terminal) = serve();
    let kcv = field(tlv::KCV, &[1, 2, 3]);
    let mut kept = None;
    for fields in [
        vec![],
        kcv.clone(),
        field(tlv::KEY_ENTRY, &[]),
        field(tlv::KEY_ENTRY, &[&kcv[..], &kcv].concat()),
        [field(tlv::KEY_ENTRY, &kcv), field(tlv::KEY_ENTRY, &kcv)].concat(),
        field(tlv::KEY_ENTRY, &field(tlv::KCV, &[1, 2])),
    ] {
        let mut line = connect(server.terminals);
        let tmk = terminal.fetch(&mut line, 0).unwrap();
        assert_eq!(kept.get_or_insert(tmk.kcv), &tmk.kcv, "the same pending key again");
        line.send(&frame(tlv::CONFIRM, &fields));
        assert_eq!(line.end(), MALFORMED, "KEY_CONFIRM {fields:02X?}");
    }
    assert_eq!(world.keys("SN-1", 0, "pending").len(), 1);
    assert!(world.keys("SN-1", 0, "active").is_empty());
}

#[test]
fn fields_come_in_any_order_and_unlisted_ones_are_skipped() {
    let (_world, server, terminal) = serve();
    let mut fields = field(0xDF7F, b"unlisted");
    fields.extend(field(tlv::RND1, &rnd1()));
    fields.extend(field(tlv::SLOT, &[0]));
    fields.extend(field(0xFF2F, &field(0xDF01, &[1])));
    fields.extend(field(tlv::SN, terminal.sn.as_bytes()));
    fields.extend(field(tlv::SUITE, &[1]));
    let mut line = connect(server.terminals);
    line.send(&frame(tlv::HELLO, &fields));
    line.expect(tlv::CHALLENGE).unwrap();
}

#[test]
fn a_frame_may_come_byte_by_byte() {
    let (_world, server, terminal) = serve();
    let mut line = connect(server.terminals);
    for byte in terminal.hello(0, rnd1()) {
        line.send(&[byte]);
    }
    line.expect(tlv::CHALLENGE).unwrap();
}
