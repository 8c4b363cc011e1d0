//! Taking off PKCS #1 type 1 padding with message recovery (RFC 8017 section 9.2 without the DigestInfo;
//! 2-wire.md section 4, flow B).

/// The fewest `FF` bytes.
const MIN_PADDING: usize = 8;

/// Why a type 1 signature is refused. The operation is public, so the exact reason tells nobody anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Type1Defect {
    /// The signature is not as long as the modulus.
    #[error("the signature has {found} bytes, the key {expected}: another key, or cut")]
    Length {
        /// Length of the modulus in bytes.
        expected: usize,
        /// Length of the signature.
        found: usize,
    },
    /// The signature as a number is not below the modulus.
    #[error("the signature is no value of this key's modulus: another key")]
    Range,
    /// The recovered value does not begin with 00 01.
    #[error("the recovered value does not begin with 00 01: another key, or changed")]
    BlockType,
    /// Fewer than eight `FF`.
    #[error("the padding is shorter than eight bytes FF")]
    ShortPadding,
    /// Something else than `FF` before the 00, or no 00 at all.
    #[error("the padding does not end in 00")]
    Separator,
}

/// The message in `00 01 ‖ at least eight FF ‖ 00 ‖ message`, to the last byte.
pub(super) fn unpad(block: &[u8]) -> Result<&[u8], Type1Defect> {
    let [0x00, 0x01, rest @ ..] = block else {
        return Err(Type1Defect::BlockType);
    };
    let padding = rest.iter().take_while(|byte| **byte == 0xFF).count();
    match rest.split_at_checked(padding) {
        Some((_, [0x00, message @ ..])) if padding >= MIN_PADDING => Ok(message),
        Some((_, [0x00, ..])) => Err(Type1Defect::ShortPadding),
        _ => Err(Type1Defect::Separator),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn eight_ff_are_enough_and_seven_are_not() {
        assert_eq!(unpad(&block(&[&[0, 1], &[0xFF; 8], &[0], b"msg"])), Ok(b"msg".as_slice()));
        assert_eq!(unpad(&block(&[&[0, 1], &[0xFF; 7], &[0], b"msg"])), Err(Type1Defect::ShortPadding));
        assert_eq!(unpad(&block(&[&[0, 1], &[0], b"msg"])), Err(Type1Defect::ShortPadding));
    }

    #[test]
    fn only_block_type_1_is_taken() {
        for start in [[0, 2], [0, 0], [1, 1], [1, 0], [0xFF, 1]] {
            let bytes = block(&[&start, &[0xFF; 8], &[0], b"msg"]);
            assert_eq!(unpad(&bytes), Err(Type1Defect::BlockType), "{start:?}");
        }
        assert_eq!(unpad(&[]), Err(Type1Defect::BlockType));
        assert_eq!(unpad(&[0]), Err(Type1Defect::BlockType));
    }

    #[test]
    fn the_separator_must_be_there_and_only_ff_before_it() {
        assert_eq!(unpad(&block(&[&[0, 1], &[0xFF; 30]])), Err(Type1Defect::Separator));
        assert_eq!(unpad(&[0, 1]), Err(Type1Defect::Separator));
        let other = block(&[&[0, 1], &[0xFF; 8], &[0xFE], &[0xFF; 8], &[0], b"msg"]);
        assert_eq!(unpad(&other), Err(Type1Defect::Separator));
        let random_padding = block(&[&[0, 1], &[0x55; 12], &[0], b"msg"]);
        assert_eq!(unpad(&random_padding), Err(Type1Defect::Separator));
    }

    #[test]
    fn everything_after_the_first_00_is_message() {
        let bytes = block(&[&[0, 1], &[0xFF; 8], &[0], &[0, 0xFF, 0]]);
        assert_eq!(unpad(&bytes), Ok([0, 0xFF, 0].as_slice()));
        assert_eq!(unpad(&block(&[&[0, 1], &[0xFF; 8], &[0]])), Ok([].as_slice()));
    }
}
