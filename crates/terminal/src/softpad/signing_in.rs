//! What a suite is to a sign-in: how its keys travel, and its MACs (2-wire.md and 3-hardened.md, flow F).

use flows::PadRefusal;
use flows::sign_in::SignInSuite;
use flows::sign_in::messages::{Mac, Nonce, Rnd1};
use paycrypto::blocks::{BlockRefusal, CONTEXT_BYTES};
use paycrypto::{blocks, ec, keys as tdes};
use wire::Slot;

use super::download::{RND1_MASK, Session};
use super::keys::{EcAes, Keys, Tdes};
use super::load::failed;
use super::sign_in::SignInSession;
use super::state::PadState;

/// Where and when a block belongs.
pub(super) type Belongs<'a> = (&'a str, &'a [u8; CONTEXT_BYTES]);

/// A suite in which a terminal signs in.
pub(super) trait SigningIn: Keys + SignInSuite {
    /// What makes a sign-in fresh.
    fn fresh() -> Result<Self::Fresh, PadRefusal>;

    /// The PIN key in this block.
    fn open_pik(tmk: &Self::Tmk, block: &str, belongs: Belongs<'_>) -> Result<Self::Pik, BlockRefusal>;

    /// The MAC key in this block.
    fn open_mak(tmk: &Self::Tmk, block: &str, belongs: Belongs<'_>) -> Result<Self::Mak, BlockRefusal>;

    /// The track key in this block.
    fn open_tdk(tmk: &Self::Tmk, block: &str, belongs: Belongs<'_>) -> Result<Self::Tdk, BlockRefusal>;

    /// SIGN_IN_CONFIRM's MAC.
    fn mac(mak: &Self::Mak, data: &[u8]) -> Result<Self::Mac, PadRefusal>;

    /// Whether it is DONE's MAC, in constant time.
    fn verifies(mak: &Self::Mak, data: &[u8], mac: &Self::Mac) -> bool;

    /// The newest TMK of a slot has worked: the one before it goes.
    fn worked(state: &mut PadState, slot: Slot);

    /// An open sign-in of this suite.
    fn keep(session: Box<SignInSession<Self>>) -> Session;

    /// The open sign-in, if it is of this suite.
    fn take(session: Session) -> Option<Box<SignInSession<Self>>>;
}

impl SigningIn for Tdes {
    fn fresh() -> Result<Rnd1, PadRefusal> {
        let mut rnd1 = [0; 8];
        paycrypto::random::fill(&mut rnd1).map_err(failed)?;
        let [first, ..] = &mut rnd1;
        *first &= RND1_MASK;
        Ok(Rnd1(rnd1))
    }

    fn open_pik(
        tmk: &tdes::Tmk,
        block: &str,
        (place, context): Belongs<'_>,
    ) -> Result<tdes::Pik, BlockRefusal> {
        blocks::unwrap(tmk, block, place, context)
    }

    fn open_mak(
        tmk: &tdes::Tmk,
        block: &str,
        (place, context): Belongs<'_>,
    ) -> Result<tdes::Mak, BlockRefusal> {
        blocks::unwrap(tmk, block, place, context)
    }

    fn open_tdk(
        tmk: &tdes::Tmk,
        block: &str,
        (place, context): Belongs<'_>,
    ) -> Result<tdes::Tdk, BlockRefusal> {
        blocks::unwrap(tmk, block, place, context)
    }

    fn mac(mak: &tdes::Mak, data: &[u8]) -> Result<Mac<8>, PadRefusal> {
        mak.mac(data).map(Mac).map_err(failed)
    }

    fn verifies(mak: &tdes::Mak, data: &[u8], mac: &Mac<8>) -> bool {
        mak.verifies(data, &mac.0)
    }

    fn worked(state: &mut PadState, slot: Slot) {
        if let Some(keys) = state.tdes.slots.get_mut(&slot) {
            keys.tmk.worked();
        }
    }

    fn keep(session: Box<SignInSession>) -> Session {
        Session::SignIn(session)
    }

    fn take(session: Session) -> Option<Box<SignInSession>> {
        match session {
            Session::SignIn(session) => Some(session),
            _ => None,
        }
    }
}

impl SigningIn for EcAes {
    fn fresh() -> Result<Nonce, PadRefusal> {
        let mut nonce = [0; 32];
        paycrypto::random::fill(&mut nonce).map_err(failed)?;
        Ok(Nonce(nonce))
    }

    fn open_pik(
        tmk: &ec::keys::Tmk,
        block: &str,
        (place, context): Belongs<'_>,
    ) -> Result<ec::keys::Pik, BlockRefusal> {
        ec::blocks::unwrap(tmk, block, place, context)
    }

    fn open_mak(
        tmk: &ec::keys::Tmk,
        block: &str,
        (place, context): Belongs<'_>,
    ) -> Result<ec::keys::Mak, BlockRefusal> {
        ec::blocks::unwrap(tmk, block, place, context)
    }

    fn open_tdk(
        tmk: &ec::keys::Tmk,
        block: &str,
        (place, context): Belongs<'_>,
    ) -> Result<ec::keys::Tdk, BlockRefusal> {
        ec::blocks::unwrap(tmk, block, place, context)
    }

    fn mac(mak: &ec::keys::Mak, data: &[u8]) -> Result<Mac<16>, PadRefusal> {
        Ok(Mac(mak.mac(data)))
    }

    fn verifies(mak: &ec::keys::Mak, data: &[u8], mac: &Mac<16>) -> bool {
        mak.verifies(data, &mac.0)
    }

    /// Both ends have shown that they hold it, so no lower suite is taken for this slot any more.
    fn worked(state: &mut PadState, slot: Slot) {
        state.verified_tmk(slot);
    }

    fn keep(session: Box<SignInSession<EcAes>>) -> Session {
        Session::SignInEc(session)
    }

    fn take(session: Session) -> Option<Box<SignInSession<EcAes>>> {
        match session {
            Session::SignInEc(session) => Some(session),
            _ => None,
        }
    }
}
