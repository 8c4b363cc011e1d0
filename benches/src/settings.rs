//! The server's configuration.

use crate::{
    estate::{ACQUIRER, SLOTS},
    pins::POSP,
};

/// As `keyferry init` has them, with ports of the system's choice. Devices get one key a message, as terminals do.
pub(crate) fn settings() -> String {
    format!(
        r#"
[acquirer]
id = "{ACQUIRER}"
name = "Benchmark"
slots = [0, {last}]

[terminal_port]
listen = "127.0.0.1:0"

[https]
listen = "127.0.0.1:0"
certificate = "tls.pem"
key = "tls.key"

[hsm]
socket = "hsm.socket"
folder = "hsm"
start = false

[store]
path = "keyferry.db"

[trust]
roots = [
    {{ certificate = "root.pem", roles = ["operator", "administrator", "kms-work"] }},
    {{ certificate = "root-02.pem", roles = ["kms-work", "device"] }},
]
crls = ["crl.pem", "crl-02.pem"]

[tms]

[posp]
listen = "127.0.0.1:0"
client_root = "root.pem"
clients = ["{POSP}"]
max_requests_per_client = 4096

[rks]
slots = {slots:?}
keys_per_message = 1
"#,
        last = SLOTS - 1,
        slots = (0..SLOTS).collect::<Vec<_>>(),
    )
}
