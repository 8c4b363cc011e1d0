//! What a suite puts into this flow's messages.

use super::{
    ec_aes::{DeviceAnswer, SignedKey},
    messages::{KldKey, Randoms},
};
use crate::suite::{EcAes, Ephemeral, Part, Suite, Tdes};

/// A suite of flow B.
pub trait LoadSuite: Suite {
    /// In KLD_CONNECT, beside the certificate: what the KLD opens with.
    type Opening: Part;
    /// In KLD_ACCEPT: what the terminal answers with.
    type Answer: Part;
    /// In KLD_KEY: the key, signed by the KLD.
    type Key: Part;
}

impl LoadSuite for Tdes {
    type Opening = ();
    type Answer = Randoms;
    type Key = KldKey;
}

impl LoadSuite for EcAes {
    type Opening = Ephemeral;
    type Answer = DeviceAnswer;
    type Key = SignedKey;
}
