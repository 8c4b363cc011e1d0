//! The PIN pad's half of an ephemeral agreement of suite 02 (3-hardened.md, "Primitives"): never stored.

use flows::PadRefusal;
use flows::suite::Ephemeral;
use paycrypto::ec::{AgreementKey, NONCE, Nonces, PublicPoint, SharedSecret};
use wire::{Malformed, Tag};

use super::load::failed;

/// A key and a nonce, fresh for one run of a flow.
pub(super) struct OwnEphemeral {
    key: AgreementKey,
    nonce: [u8; NONCE],
}

impl OwnEphemeral {
    /// Makes both.
    pub(super) fn generate() -> Result<OwnEphemeral, PadRefusal> {
        let mut nonce = [0; NONCE];
        paycrypto::random::fill(&mut nonce).map_err(failed)?;
        Ok(OwnEphemeral { key: AgreementKey::generate().map_err(failed)?, nonce })
    }

    /// A worked one.
    #[cfg(test)]
    pub(super) fn of(scalar: &[u8; paycrypto::ec::SCALAR], nonce: [u8; NONCE]) -> OwnEphemeral {
        OwnEphemeral { key: AgreementKey::from_scalar(scalar).unwrap(), nonce }
    }

    /// What the message carries (DF13, DF14).
    pub(super) fn public(&self) -> Ephemeral {
        Ephemeral { point: *self.key.public(), nonce: self.nonce }
    }

    /// Z with the other side.
    ///
    /// # Errors
    /// [`PadRefusal::Malformed`] for a point that is not on the curve.
    pub(super) fn agree(&self, peer: &Ephemeral) -> Result<SharedSecret, PadRefusal> {
        let point = PublicPoint::from_bytes(&peer.point)
            .map_err(|_| Malformed::FieldValue { tag: Tag::EPHEMERAL_KEY })?;
        self.key.agree(&point).map_err(failed)
    }

    /// The nonces of a flow that this side opened.
    pub(super) fn opening<'a>(&'a self, peer: &'a Ephemeral) -> Nonces<'a> {
        Nonces { opener: &self.nonce, answerer: &peer.nonce }
    }

    /// The nonces of a flow that the other side opened.
    pub(super) fn answering<'a>(&'a self, peer: &'a Ephemeral) -> Nonces<'a> {
        Nonces { opener: &peer.nonce, answerer: &self.nonce }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_come_to_the_same_and_each_run_is_fresh() {
        let (here, there) = (OwnEphemeral::generate().unwrap(), OwnEphemeral::generate().unwrap());
        let z = here.agree(&there.public()).unwrap();
        assert_eq!(z.expose(), there.agree(&here.public()).unwrap().expose());
        assert_ne!(here.public().point, there.public().point);
        assert_ne!(here.public().nonce, there.public().nonce);
    }

    #[test]
    fn a_point_off_the_curve_is_malformed() {
        let own = OwnEphemeral::generate().unwrap();
        for at in [0, 1, 64] {
            let mut peer = OwnEphemeral::generate().unwrap().public();
            peer.point[at] ^= 1;
            let refused = Malformed::FieldValue { tag: Tag::EPHEMERAL_KEY };
            assert_eq!(own.agree(&peer).unwrap_err(), PadRefusal::Malformed(refused), "{at}");
        }
    }
}
