//! What a suite puts into this flow's messages.

use super::{
    ec_aes::{SealedFactor, SignedOpening},
    messages::{RksFactor, RksProof, RksToken},
};
use crate::suite::{Confirmation, EcAes, Ephemeral, Part, Suite, Tdes};

/// A suite of flow C.
pub trait RksSuite: Suite {
    /// In RKS_AUTH: what the device opens with.
    type Opening: Part;
    /// In RKS_CERT, beside the certificate: the RKS's own opening, and what shows that it has the certificate's key.
    type Answer: Part;
    /// In RKS_FACTOR: DIK2's factor, for the RKS alone.
    type Factor: Part;
    /// In RKS_TOKEN: the RKS's proof that it knows DIK2.
    type Token: Part;
    /// In RKS_PROOF: the device's proof.
    type Proof: Part;
}

impl RksSuite for Tdes {
    type Opening = ();
    type Answer = ();
    type Factor = RksFactor;
    type Token = RksToken;
    type Proof = RksProof;
}

impl RksSuite for EcAes {
    type Opening = Ephemeral;
    type Answer = SignedOpening;
    type Factor = SealedFactor;
    type Token = Confirmation;
    type Proof = Confirmation;
}
