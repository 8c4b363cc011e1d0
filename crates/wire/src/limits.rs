//! Every limit of the wire, in one place (2-wire.md sections 1, 2 and 4).

/// Bytes of the length field before a payload.
pub const FRAME_HEADER: usize = 2;
/// Shortest payload, bytes: version and type.
pub const MIN_PAYLOAD: usize = 2;
/// Longest payload, bytes: what two length bytes can say.
pub const MAX_PAYLOAD: usize = 65_535;
/// Longest frame, bytes: the longest payload and its length field.
pub const MAX_FRAME: usize = FRAME_HEADER + MAX_PAYLOAD;
/// Most bytes that a [`FrameDecoder`](crate::FrameDecoder) holds. Between two reads it holds less than one frame, so
/// a reader that takes at most [`MAX_FRAME`] bytes at a time and empties the decoder in between never meets it.
pub const MAX_BUFFERED: usize = 2 * MAX_FRAME;

/// How deep templates may lie inside each other. FF24 inside FF22 is the deepest that section 2 has.
pub const MAX_TEMPLATE_DEPTH: usize = 2;

/// Longest serial, characters (DF02, DF03).
pub const MAX_SERIAL: usize = 32;
/// Longest vendor id, characters (DF30).
pub const MAX_VENDOR_ID: usize = 8;
/// Longest model id, characters (DF31).
pub const MAX_MODEL_ID: usize = 20;
/// Highest key index (DF04).
pub const MAX_SLOT: u8 = 99;
/// Longest operator id, characters (DF3D).
pub const MAX_OPERATOR_ID: usize = 16;
/// Longest status, bytes of UTF-8 JSON (DF2D).
pub const MAX_STATUS: usize = 4096;
/// Longest package name, bytes of UTF-8 (DF41).
pub const MAX_PACKAGE_NAME: usize = 64;
/// Longest package version, characters (DF42).
pub const MAX_PACKAGE_VERSION: usize = 32;
/// Largest package, bytes: 4 GiB.
pub const MAX_PACKAGE_SIZE: u64 = 1 << 32;
/// Most bytes that a terminal may ask for at a time (DF47).
pub const MAX_LENGTH_WANTED: u32 = 32_768;
/// Longest error text, bytes of UTF-8 (DF61).
pub const MAX_ERROR_TEXT: usize = 128;

/// Port of the server for terminals.
pub const SERVER_PORT: u16 = 7801;
/// Port of the terminal for station and key loading device.
pub const TERMINAL_PORT: u16 = 7802;

/// Seconds without a byte after which a link ends with code 000A.
pub const IDLE_SECONDS: u64 = 30;
/// Seconds that one message may take from its first byte to its last; then 000A.
pub const MESSAGE_SECONDS: u64 = 300;
/// TK_HELLOs for one serial that one source may have open at a time (section 4, flow A); one more gets 000B.
pub const MAX_OPEN_HELLOS_PER_SOURCE: usize = 4;
