//! The KLD's role. Cards, the run's list and its report are its driver's; between messages the driver asks its HSM with
//! what the state gives it.

use alloc::{string::ToString, vec::Vec};
use core::marker::PhantomData;

use wire::{Device, Frame, Kcv, MessageType};

use super::{
    Fault, LoadSuite, Reason,
    messages::{KldAccept, KldConnect},
};
use crate::{
    Chain, Context, Said, Tdes, loading,
    suite::{self, Part},
};

/// A loading that has not begun.
#[derive(Debug)]
pub struct Start<S: LoadSuite = Tdes> {
    chain: Chain,
    opening: S::Opening,
}

impl Start {
    /// A loading in suite 01 under this certificate (AcquireWCRT), its intermediates nearest to it first; X.509 DER.
    pub fn new(leaf: Vec<u8>, intermediates: Vec<Vec<u8>>) -> Start {
        Start::of(Chain { leaf, intermediates }, ())
    }
}

impl<S: LoadSuite> Start<S> {
    /// A loading under this certificate, in suite 02 with the ephemeral key and nonce that the HSM made for it.
    pub fn of(chain: Chain, opening: S::Opening) -> Start<S> {
        Start { chain, opening }
    }

    /// Begins: gives KLD_CONNECT.
    ///
    /// # Errors
    /// 0001 for certificates that fit into no frame.
    pub fn begin(self) -> Result<(Frame, ExpectAccept<S>), Fault> {
        let Start { chain, opening } = self;
        let frame = KldConnect::<S> { suite: S::ID, chain, opening }.write()?;
        Ok((frame.clone(), ExpectAccept { connect: frame, suite: PhantomData }))
    }
}

/// KLD_CONNECT has left; KLD_ACCEPT is to come.
#[derive(Debug)]
pub struct ExpectAccept<S: LoadSuite = Tdes> {
    connect: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: LoadSuite> ExpectAccept<S> {
    /// Takes KLD_ACCEPT.
    ///
    /// # Errors
    /// 0002, 0003; the terminal's ERROR as [`ProtocolError::Peer`](crate::ProtocolError::Peer) with its code and text.
    pub fn on_frame(self, frame: &Frame) -> Result<Accept<S>, Fault> {
        let KldAccept { device, answer } = KldAccept::<S>::read(frame)?;
        Ok(Accept { device, answer, connect: self.connect, accept: frame.clone() })
    }
}

/// KLD_ACCEPT was read. The driver now looks the serial up in its run, in suite 02 checks device certificate and signature,
/// marks the serial as being served, and has its HSM make the block and sign, in one act.
#[derive(Debug)]
pub struct Accept<S: LoadSuite = Tdes> {
    device: Device,
    answer: S::Answer,
    connect: Frame,
    accept: Frame,
}

impl<S: LoadSuite> Accept<S> {
    /// Terminal and PIN pad, as they call themselves.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What the terminal answered with.
    pub fn answer(&self) -> &S::Answer {
        &self.answer
    }

    /// KLD_CONNECT as it left.
    pub fn connect(&self) -> &Frame {
        &self.connect
    }

    /// KLD_ACCEPT as it came.
    pub fn accept(&self) -> &Frame {
        &self.accept
    }

    /// KLD_CONNECT and KLD_ACCEPT.
    pub fn said(&self) -> Said {
        let mut said = Said::new();
        said.push(&self.connect);
        said.push(&self.accept);
        said
    }

    /// The context that the key block must carry: over KLD_CONNECT and KLD_ACCEPT.
    pub fn context(&self) -> Context {
        self.said().context()
    }

    /// Nobody here knows a terminal with this serial: 0004.
    pub fn unknown_terminal(self) -> Fault {
        Reason::UnknownTerminal { sn: self.device.sn().clone() }.into()
    }

    /// The run does not list this serial: 0008.
    pub fn not_in_run(self) -> Fault {
        Reason::NotInRun { sn: self.device.sn().clone() }.into()
    }

    /// The run has served this serial: 0008.
    pub fn already_served(self) -> Fault {
        Reason::AlreadyServed { sn: self.device.sn().clone() }.into()
    }

    /// Gives KLD_KEY with the key that the HSM made for [`Accept::context`] and signed. The key must be in the run's
    /// inventory before. `kcv` is its check value, which does not travel here: KEY_CONFIRM shows that the block was opened.
    ///
    /// # Errors
    /// 0001 for a key that has not its form, and for a check value of another suite.
    pub fn give(self, key: &S::Key, kcv: Kcv) -> Result<(Frame, ExpectConfirm<S>), Fault> {
        if !S::has_kcv(kcv) {
            let why = "the key's check value is of another suite".to_string();
            return Err(Reason::Internal { why }.into());
        }
        let frame = suite::write::<S>(MessageType::KldKey, |fields| key.push(fields))?;
        let mut said = self.said();
        said.push(&frame);
        Ok((frame, ExpectConfirm::after(said, Vec::from([kcv]))))
    }
}

/// KLD_KEY has left.
pub type ExpectConfirm<S = Tdes> = loading::ExpectConfirm<Reason, S>;
/// KEY_CONFIRM was read.
pub type Told<S = Tdes> = loading::Told<Reason, S>;
/// What KEY_CONFIRM of suite 01 showed.
pub type Confirm = loading::Confirm<Reason>;
/// The terminal holds the key.
pub type Confirmed<S = Tdes> = loading::Confirmed<Reason, S>;
