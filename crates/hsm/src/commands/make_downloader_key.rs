use serde::{Deserialize, Serialize};

/// Makes a KLD's RSA key pair, for a certificate of the role downloader (1-systems.md B, step 1). It opens what a
/// terminal sends with KLD_ACCEPT and signs KLD_KEY: the one pair with two uses, by the flow's design (2-wire.md
/// section 5). Replies with a [`super::WorkKey`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeDownloaderKey {
    /// Modulus in bits: 2 048, 3 072 or 4 096.
    pub bits: u32,
    /// The common name to ask a certificate for.
    pub subject: String,
    /// The acquirer the key belongs to.
    pub owner: String,
}
