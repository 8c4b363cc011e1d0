//! The KLD's role. Cards, the run's list and its report are its driver's; between messages the driver asks its HSM with
//! what the state gives it.

use alloc::{borrow::ToOwned, string::String, string::ToString, vec::Vec};

use wire::{Device, Frame, Kcv, Suite};

use super::{
    Fault, Reason,
    messages::{KldAccept, KldConnect, KldKey},
};
use crate::{
    Chain, Context, Transcript,
    loading::{self, MODULUS},
};

/// A loading that has not begun.
#[derive(Debug)]
pub struct Start {
    chain: Chain,
}

impl Start {
    /// A loading under this certificate (AcquireWCRT), its intermediates nearest to it first; X.509 DER.
    pub fn new(leaf: Vec<u8>, intermediates: Vec<Vec<u8>>) -> Start {
        Start { chain: Chain { leaf, intermediates } }
    }

    /// Begins: gives KLD_CONNECT.
    ///
    /// # Errors
    /// 0001 for certificates that fit into no frame.
    pub fn begin(self) -> Result<(Frame, ExpectAccept), Fault> {
        let frame = KldConnect { suite: Suite::TDES, chain: self.chain }.write()?;
        let mut transcript = Transcript::new();
        transcript.push(&frame);
        Ok((frame, ExpectAccept { transcript }))
    }
}

/// KLD_CONNECT has left; KLD_ACCEPT is to come.
#[derive(Debug)]
pub struct ExpectAccept {
    transcript: Transcript,
}

impl ExpectAccept {
    /// Takes KLD_ACCEPT.
    ///
    /// # Errors
    /// 0002, 0003; the terminal's ERROR as [`ProtocolError::Peer`](crate::ProtocolError::Peer) with its code and text.
    pub fn on_frame(self, frame: &Frame) -> Result<Accept, Fault> {
        let accept = KldAccept::read(frame)?;
        let mut transcript = self.transcript;
        transcript.push(frame);
        Ok(Accept { accept, context: transcript.context() })
    }
}

/// KLD_ACCEPT was read. The driver now looks the serial up in its run, marks it there as being served, and has its HSM
/// open C_rnd1_rnd2, make the block and sign, in one act.
#[derive(Debug)]
pub struct Accept {
    accept: KldAccept,
    context: Context,
}

impl Accept {
    /// Terminal and PIN pad, as they call themselves.
    pub fn device(&self) -> &Device {
        &self.accept.device
    }

    /// Rnd1 ‖ Rnd2 under the certificate's key, for the HSM.
    pub fn c_rnd1_rnd2(&self) -> &[u8] {
        &self.accept.c_rnd1_rnd2
    }

    /// The context that the key block must carry: over KLD_CONNECT and KLD_ACCEPT.
    pub fn context(&self) -> Context {
        self.context
    }

    /// Nobody here knows a terminal with this serial: 0004.
    pub fn unknown_terminal(self) -> Fault {
        Reason::UnknownTerminal { sn: self.accept.device.sn().clone() }.into()
    }

    /// The run does not list this serial: 0008.
    pub fn not_in_run(self) -> Fault {
        Reason::NotInRun { sn: self.accept.device.sn().clone() }.into()
    }

    /// The run has served this serial: 0008.
    pub fn already_served(self) -> Fault {
        Reason::AlreadyServed { sn: self.accept.device.sn().clone() }.into()
    }

    /// The HSM does not take C_rnd1_rnd2, or the Rnd1 in it: 0002.
    pub fn randoms_refused(self, why: String) -> Fault {
        Reason::RandomsRefused { why }.into()
    }

    /// Gives KLD_KEY with what the HSM signed for [`Accept::context`]. The key must be in the run's inventory before.
    /// `kcv` is its check value, which does not travel here: KEY_CONFIRM shows that the block was opened.
    ///
    /// # Errors
    /// 0001 when C_ctmk_rnd2 is as long as no RSA modulus, or for a check value of another suite.
    pub fn deliver(self, c_ctmk_rnd2: &[u8], kcv: Kcv) -> Result<(Frame, ExpectConfirm), Fault> {
        let internal = |why: &str| Reason::Internal { why: why.to_string() };
        if !MODULUS.contains(&c_ctmk_rnd2.len()) {
            return Err(internal("what the HSM signed is as long as no RSA modulus").into());
        }
        if !matches!(kcv, Kcv::Tdes(_)) {
            return Err(internal("the key's check value is none of TDES").into());
        }
        let frame = KldKey { c_ctmk_rnd2: c_ctmk_rnd2.to_owned() }.write()?;
        Ok((frame, ExpectConfirm::after(crate::Said::new(), alloc::vec::Vec::from([kcv]))))
    }
}

/// KLD_KEY has left.
pub type ExpectConfirm = loading::ExpectConfirm<Reason>;
/// What KEY_CONFIRM showed.
pub type Confirm = loading::Confirm<Reason>;
/// The terminal holds the key.
pub type Confirmed = loading::Confirmed<Reason>;
