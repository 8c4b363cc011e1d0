//! SEALED frames and the count of what a session key has protected.

use std::vec;

use wire::{ErrorCode, Malformed, MessageType, Tag, error_frame};

use crate::{
    HasCode, ProtocolError, Tdes,
    testing::frame,
    tms_download::{
        Counters, Exhausted, INNER_MAX, MAX_SEALED_BLOCKS,
        messages::error_payload,
        sealed::{ciphertext_blocks, sealed_frame, unseal},
    },
};

/// Bytes of DF4A for an inner payload of so many.
fn sealed_len(inner: usize) -> usize {
    16 + 8 * usize::try_from(ciphertext_blocks(inner)).unwrap()
}

#[test]
fn frame_is_read_back() {
    for length in [24, 32, 65_520] {
        let sealed = vec![7; length];
        assert_eq!(unseal::<Tdes>(&sealed_frame(&sealed).unwrap()), Ok(sealed));
    }
}

#[test]
fn longest_inner_payload_fits_into_a_frame_and_is_the_longest_that_is_taken() {
    assert_eq!(sealed_len(INNER_MAX), 65_520);
    let too_long = sealed_frame(&vec![7; 65_528]).unwrap();
    let malformed = Malformed::FieldLength { tag: Tag::SEALED_MESSAGE, found: 65_528 };
    assert_eq!(unseal::<Tdes>(&too_long), Err(malformed.into()));
    let unwritable = sealed_frame(&vec![7; 65_536]);
    assert!(matches!(unwritable, Err(ProtocolError::Unwritable(Malformed::FrameTooLong { .. }))));
}

#[test]
fn value_that_is_not_whole_blocks_or_too_short_is_0002() {
    for found in [0, 8, 16, 23, 25, 31, 33] {
        let tag = Tag::SEALED_MESSAGE;
        let frame = sealed_frame(&vec![7; found]).unwrap();
        assert_eq!(unseal::<Tdes>(&frame), Err(Malformed::FieldLength { tag, found }.into()));
    }
    let empty = frame(MessageType::Sealed, &[]);
    assert_eq!(unseal::<Tdes>(&empty), Err(Malformed::MissingField { tag: Tag::SEALED_MESSAGE }.into()));
}

#[test]
fn other_messages_in_clear_are_0003_and_a_clear_error_ends() {
    for found in MessageType::ALL.iter().copied() {
        let result = unseal::<Tdes>(&frame(found, &[(Tag::SEALED_MESSAGE, &[7; 24])]));
        match found {
            MessageType::Sealed => assert!(result.is_ok()),
            MessageType::Error => assert!(matches!(result, Err(ProtocolError::Peer(_)))),
            _ => {
                let expected = MessageType::Sealed;
                assert_eq!(result, Err(ProtocolError::Unexpected { expected, found }));
            }
        }
    }
    let busy = unseal::<Tdes>(&error_frame(ErrorCode::Busy, "later")).unwrap_err();
    assert_eq!(busy.code(), ErrorCode::Busy);
}

#[test]
fn padding_always_adds() {
    for (bytes, blocks) in [(0, 1), (1, 1), (7, 1), (8, 2), (15, 2), (16, 3), (65_500, 8_188)] {
        assert_eq!(ciphertext_blocks(bytes), blocks, "{bytes} bytes");
    }
}

#[test]
fn each_direction_counts_for_itself() {
    let mut counters = Counters::new();
    assert_eq!([counters.in_(24), counters.in_(24), counters.in_(24)], [Ok(0), Ok(1), Ok(2)]);
    assert_eq!([counters.out(7), counters.out_error(7), counters.out(7)], [Ok(0), Ok(1), Ok(2)]);
    assert_eq!(counters.in_(24), Ok(3));
    assert_eq!(counters.blocks_left(), MAX_SEALED_BLOCKS - 7);
}

#[test]
fn r20_both_directions_share_the_blocks_and_the_last_one_is_for_an_error() {
    let mut counters = Counters::new();
    // As many bytes as half of the blocks hold, less the padding.
    let half = usize::try_from(MAX_SEALED_BLOCKS / 2 * 8).unwrap() - 1;
    assert_eq!(counters.out(half), Ok(0));
    assert_eq!(counters.in_(sealed_len(half - 8)), Ok(0));
    assert_eq!(counters.blocks_left(), 1);
    assert_eq!((counters.out(0), counters.in_(24)), (Err(Exhausted), Err(Exhausted)));
    assert_eq!(counters.blocks_left(), 1, "what is refused does not count");
    assert_eq!(counters.out_error(8), Err(Exhausted), "a long ERROR does not fit");
    assert_eq!(counters.out_error(7), Ok(1));
    assert_eq!((counters.out_error(0), counters.blocks_left()), (Err(Exhausted), 0));
}

#[test]
fn lengths_that_no_frame_has_are_refused_too() {
    let mut counters = Counters::new();
    assert_eq!(counters.in_(usize::MAX), Err(Exhausted));
    assert_eq!(counters.out(usize::MAX), Err(Exhausted));
    assert_eq!(counters.blocks_left(), MAX_SEALED_BLOCKS);
}

/// The ERROR that fits into the last block.
#[test]
fn error_without_a_text_takes_one_block() {
    assert_eq!(ciphertext_blocks(error_payload(ErrorCode::Busy, "").len()), 1);
}

#[test]
fn exhausted_is_000b() {
    let fault = crate::tms_download::Fault::from(Exhausted);
    assert_eq!((fault.code, fault.reason.code()), (ErrorCode::Busy, ErrorCode::Busy));
}

mod ec_aes {
    use std::vec;

    use wire::{Fields, Frame, Malformed, MessageType, Tag};

    use crate::{
        EcAes,
        testing::assert_malformed,
        tms_download::{
            Counters, Exhausted, Fault, Fetch, Get, INNER_MAX, Next, Request, SealSuite,
            messages::error_payload,
            sealed::{sealed_frame, unseal},
            tests::{manifest, package},
        },
    };

    #[test]
    fn value_without_room_for_a_tag_and_a_message_or_too_long_is_0002() {
        for (found, good) in [
            (16, false),
            (17, false),
            (18, true),
            (19, true),
            (INNER_MAX + 16, true),
            (INNER_MAX + 17, false),
        ] {
            let sealed = vec![7; found];
            let read = unseal::<EcAes>(&sealed_frame(&sealed).unwrap());
            let refused = Malformed::FieldLength { tag: Tag::SEALED_MESSAGE, found };
            assert_eq!(read, if good { Ok(sealed) } else { Err(refused.into()) });
        }
    }

    /// As many blocks as GCM takes from its counter: those of the text, and one for the tag.
    #[test]
    fn blocks_are_those_of_the_text_and_one() {
        for (inner, blocks) in [(0, 1), (1, 2), (16, 2), (17, 3), (INNER_MAX, 4_095)] {
            assert_eq!(EcAes::blocks(inner), blocks, "{inner} bytes");
            assert_eq!(EcAes::blocks_of(inner + 16), blocks, "{inner} bytes");
        }
        let error = error_payload(wire::ErrorCode::Busy, "");
        assert_eq!(EcAes::blocks(error.len()), EcAes::FOR_AN_ERROR);
    }

    #[test]
    fn numbers_have_64_bits_and_go_on_past_2_32() {
        let mut counters = Counters::<EcAes>::of();
        assert_eq!([counters.in_(18), counters.in_(18)], [Ok(0_u64), Ok(1)]);
        assert_eq!([counters.out(2), counters.out_error(2)], [Ok(0_u64), Ok(1)]);
        counters.out = u64::from(u32::MAX) + 1;
        assert_eq!(counters.out(2), Ok(1 << 32));
    }

    #[test]
    fn r20_both_directions_share_2_34_blocks_and_an_error_always_fits() {
        let mut counters = Counters::<EcAes>::of();
        counters.blocks = (1 << 34) - 4;
        assert_eq!(counters.in_(18), Ok(0));
        assert_eq!((counters.out(2), counters.in_(18)), (Err(Exhausted), Err(Exhausted)));
        assert_eq!((counters.out_error(7), counters.blocks_left()), (Ok(0), 0));
        assert_eq!(counters.out_error(7), Err(Exhausted));
    }

    #[test]
    fn fetch_asks_for_a_new_session_before_the_blocks_run_out() {
        let mut fetch = Fetch::new(&manifest(1 << 32), 0);
        assert!(matches!(fetch.next::<EcAes>(32_768, EcAes::MAX_BLOCKS), Next::Get(_)));
        // 2 048 for the data, and a few for the rest, TMS_GET and the ERROR.
        assert_eq!(fetch.next::<EcAes>(32_768, 2_050), Next::NeedsNewSession);
        assert!(matches!(fetch.next::<EcAes>(32_768, 2_070), Next::Get(_)));
    }

    #[test]
    fn inner_fields_in_another_order_are_0002() {
        let id = package("pay-app", "1.2.0");
        let get = Get { name: id.name, version: id.version, offset: 0, wanted: 4 };
        let own = get.to_payload().unwrap();
        assert_eq!(Request::read::<EcAes>(&own).unwrap(), Request::Get(get));
        let mut turned = Fields::new();
        turned.push(Tag::OFFSET, &[0; 8]).unwrap();
        turned.push(Tag::PACKAGE_NAME, b"pay-app").unwrap();
        let turned = Frame::new(MessageType::TmsGet, &turned).unwrap();
        let result: Result<_, Fault> = Request::read::<EcAes>(turned.payload());
        assert_malformed(result, Malformed::FieldOrder { tag: Tag::PACKAGE_NAME });
    }
}
