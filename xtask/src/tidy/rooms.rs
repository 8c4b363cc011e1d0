//! The rooms: which of our crates each may reach, and what it never may. ARCHITECTURE.md tells why they are cut like
//! this; here it is checked.

/// One crate and what its tree may hold.
pub(super) struct Room {
    /// The package.
    pub(super) package: &'static str,
    /// Features to look at it with.
    pub(super) options: &'static [&'static str],
    /// Our own crates that may be in its tree, near or far.
    pub(super) may_reach: &'static [&'static str],
    /// Packages of others that may not be there.
    pub(super) never: &'static [&'static [&'static str]],
    /// Whether nothing in its tree may ask for the standard library.
    pub(super) no_std: bool,
    /// Why it is so.
    pub(super) why: &'static str,
}

/// Crates that tie the rooms together, and may reach all of them.
pub(super) const ANYTHING: &[&str] = &["keyferry", "keyferry-benches", "xtask"];

const NETWORK: &[&str] = &[
    "axum",
    "h2",
    "hyper",
    "hyper-util",
    "mio",
    "native-tls",
    "quinn",
    "reqwest",
    "rustls",
    "socket2",
    "tokio",
    "tokio-rustls",
    "ureq",
];
const CIPHERS: &[&str] = &[
    "aes",
    "aws-lc-rs",
    "aws-lc-sys",
    "cmac",
    "des",
    "getrandom",
    "openssl",
    "ring",
    "sha2",
    "subtle",
    "zeroize",
];
/// Raw block ciphers: whoever has one and a key's bytes can do without the HSM.
const KEY_CIPHERS: &[&str] = &["cmac", "des"];
const HEAVY: &[&str] = &["aws-lc-sys", "openssl-sys", "regex", "serde", "serde_json", "tokio", "tracing"];

const NOTHING: Room = Room { package: "", options: &[], may_reach: &[], never: &[], no_std: false, why: "" };

pub(super) const ROOMS: &[Room] = &[
    Room { package: "keyblock", never: &[NETWORK, HEAVY], why: "it stands alone and is light", ..NOTHING },
    Room {
        package: "keyblock",
        options: &["--no-default-features"],
        never: &[NETWORK, HEAVY, CIPHERS],
        why: "reading a header needs no cryptography",
        ..NOTHING
    },
    Room { package: "pinblock", never: &[NETWORK, HEAVY], why: "it stands alone and is light", ..NOTHING },
    Room {
        package: "paycrypto",
        may_reach: &["keyblock"],
        never: &[NETWORK],
        why: "clear keys have one home, which nothing leaves by a network",
        ..NOTHING
    },
    Room {
        package: "keyferry-wire",
        never: &[NETWORK, HEAVY],
        no_std: true,
        why: "it also runs in terminals without an operating system",
        ..NOTHING
    },
    Room {
        package: "keyferry-flows",
        may_reach: &["keyferry-wire"],
        never: &[NETWORK, HEAVY],
        no_std: true,
        why: "roles are pure, hold no clear key, and also run in terminals without an operating system",
        ..NOTHING
    },
    Room {
        package: "keyferry-pki",
        never: &[NETWORK, KEY_CIPHERS],
        why: "it has public keys only",
        ..NOTHING
    },
    Room {
        package: "keyferry-custody",
        may_reach: &["keyferry-pki"],
        never: &[NETWORK],
        why: "signing keys of people and the certificate authority are offline (4-requirements.md R23)",
        ..NOTHING
    },
    Room {
        package: "keyferry-hsm",
        never: &[KEY_CIPHERS],
        why: "commands and their client are used by the server, which has no clear keys",
        ..NOTHING
    },
    Room {
        package: "keyferry-hsm-soft",
        may_reach: &["keyblock", "keyferry-hsm", "keyferry-pki", "paycrypto", "pinblock"],
        why: "the HSM is its own process: no store, no flow, no server in it",
        ..NOTHING
    },
    Room {
        package: "keyferry-terminal",
        may_reach: &["keyblock", "keyferry-flows", "keyferry-pki", "keyferry-wire", "paycrypto", "pinblock"],
        why: "a terminal holds its own keys only: no HSM and no part of a server",
        ..NOTHING
    },
    Room {
        package: "keyferry-store",
        may_reach: &["keyferry-wire"],
        never: &[KEY_CIPHERS],
        why: "it keeps key blocks and ciphertext, and can open neither",
        ..NOTHING
    },
    Room {
        package: "keyferry-batch",
        may_reach: &["keyferry-wire"],
        never: &[NETWORK, KEY_CIPHERS],
        why: "documents of MTMS and KMS: their MACs are the HSM's",
        ..NOTHING
    },
    Room {
        package: "keyferry-server",
        may_reach: &[
            "keyferry-batch",
            "keyferry-flows",
            "keyferry-hsm",
            "keyferry-pki",
            "keyferry-store",
            "keyferry-wire",
        ],
        never: &[KEY_CIPHERS],
        why: "clear keys are behind the HSM's socket, signing keys are with people",
        ..NOTHING
    },
    Room {
        package: "keyferry-station",
        may_reach: &["keyferry-custody", "keyferry-flows", "keyferry-hsm", "keyferry-pki", "keyferry-wire"],
        never: &[KEY_CIPHERS],
        why: "a station carries transport keys it cannot open, and a KLD's keys are behind its HSM's socket",
        ..NOTHING
    },
    Room {
        package: "keyferry-mtms",
        may_reach: &[
            "keyferry-batch",
            "keyferry-custody",
            "keyferry-flows",
            "keyferry-hsm",
            "keyferry-pki",
            "keyferry-station",
            "keyferry-store",
            "keyferry-wire",
        ],
        never: &[KEY_CIPHERS],
        why: "transport keys go from the vendor's key to the buyer's inside the HSM: an MTMS opens none",
        ..NOTHING
    },
    Room {
        package: "keyferry-calc",
        may_reach: &["keyblock", "paycrypto", "pinblock"],
        never: &[NETWORK],
        why: "clear keys that a person types go nowhere",
        ..NOTHING
    },
];
