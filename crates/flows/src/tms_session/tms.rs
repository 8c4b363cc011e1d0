//! The TMS's role. Between messages the driver asks HSM and store with what the state gives it.

use alloc::{borrow::ToOwned, string::ToString, vec::Vec};

use wire::{Fields, Frame, Kcv, OperatorId, SData, Src, Suite, TData, TmsVersion};

use super::{
    Fault, Identification, Reason, Transaction,
    messages::{
        Challenge, MAC, Named, OPERATOR_PROOF, SessionKeys, TmsChallenge, TmsHello, TmsKey, TmsProof,
    },
};
use crate::loading;

/// A connection on which TMS_HELLO is to come; also one whose session is over, on which the terminal opens a new one.
#[derive(Debug, Default)]
pub struct ExpectHello;

impl ExpectHello {
    /// The start of the role.
    pub fn new() -> ExpectHello {
        ExpectHello
    }

    /// Takes TMS_HELLO.
    ///
    /// # Errors
    /// 0002, also for a wrong top bit of T_DATA and for DF03 equal to DF02; 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Hello, Fault> {
        Ok(Hello { hello: TmsHello::read(frame)?, frame: frame.clone() })
    }
}

/// TMS_HELLO was read; nobody has proved anything yet.
#[derive(Debug)]
pub struct Hello {
    hello: TmsHello,
    frame: Frame,
}

impl Hello {
    /// The suite that the terminal asks for. A terminal that asks for another than [`Suite::TDES`] is told so only when
    /// it is proven: [`Proof::open_program`] and [`Proof::open_key`] then refuse with 0009.
    pub fn suite(&self) -> Suite {
        self.hello.suite
    }

    /// Vendor, model, terminal and PIN pad, as they call themselves.
    pub fn identification(&self) -> &Identification {
        &self.hello.identification
    }

    /// The version of the protocol that the terminal speaks.
    pub fn version(&self) -> TmsVersion {
        self.hello.version
    }

    /// What is wanted.
    ///
    /// # Errors
    /// [`Src::TransactionNotSupported`], to be answered with [`Hello::refuse`].
    pub fn transaction(&self) -> Result<Transaction, Src> {
        self.hello.transaction.map_err(|_| Src::TransactionNotSupported)
    }

    /// T_DATA, top bit 0.
    pub fn t_data(&self) -> TData {
        self.hello.t_data
    }

    /// Records of refusals (FF23: DF28, DF29, DF2A each), unproved like everything here.
    pub fn refusals(&self) -> &[Fields] {
        &self.hello.refusals
    }

    /// TMS_HELLO as it came, which the DWK's context is over.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Gives a TMS_CHALLENGE that refuses, the end. It must say nothing of whether the serial is known.
    ///
    /// # Errors
    /// 0001 for [`Src::Good`], which refuses nothing.
    pub fn refuse(self, src: Src) -> Result<Frame, Fault> {
        Ok(TmsChallenge { named: self.hello.named(), answer: Err(refusing(src)?) }.write()?)
    }

    /// Gives TMS_CHALLENGE with what the HSM made: for an unknown terminal, too, with values of the same form that
    /// nothing proves (2-wire.md section 8). This role behaves the same for both.
    ///
    /// # Errors
    /// 0001 when the transaction is none that this TMS has: [`Hello::refuse`] is for that.
    pub fn challenge(
        self,
        tac_1: [u8; MAC],
        s_data: &SData,
        dwk_1: &str,
        operator_demanded: bool,
    ) -> Result<(Frame, ExpectProof), Fault> {
        let Hello { hello, frame } = self;
        let transaction =
            hello.transaction.map_err(|_| internal("a transaction that is not supported was challenged"))?;
        let named = hello.named();
        let challenge = Challenge { tac_1, s_data: *s_data, dwk_1: dwk_1.to_owned(), operator_demanded };
        let challenge = TmsChallenge { named: named.clone(), answer: Ok(challenge) }.write()?;
        let frames = [frame.bytes(), challenge.bytes()].concat();
        Ok((challenge, ExpectProof { hello, named, transaction, operator_demanded, frames }))
    }
}

/// TMS_CHALLENGE has left; TMS_PROOF is to come.
#[derive(Debug)]
pub struct ExpectProof {
    hello: TmsHello,
    named: Named,
    transaction: Transaction,
    operator_demanded: bool,
    frames: Vec<u8>,
}

impl ExpectProof {
    /// Takes TMS_PROOF.
    ///
    /// # Errors
    /// 0002, also for another identification; 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Proof, Fault> {
        let ExpectProof { hello, named, transaction, operator_demanded, mut frames } = self;
        let proof = TmsProof::read(frame)?;
        proof.named.expect(&named, Src::Good)?;
        frames.extend_from_slice(frame.bytes());
        Ok(Proof { hello, named, transaction, operator_demanded, proof, frames })
    }
}

/// TMS_PROOF was read. The HSM now checks SAC_1, then the operator, and makes the keys in one act; a driver that has a
/// session key's block has therefore a proven terminal.
#[derive(Debug)]
pub struct Proof {
    hello: TmsHello,
    named: Named,
    transaction: Transaction,
    operator_demanded: bool,
    proof: TmsProof,
    frames: Vec<u8>,
}

impl Proof {
    /// Vendor, model, terminal and PIN pad.
    pub fn identification(&self) -> &Identification {
        &self.hello.identification
    }

    /// What the session is for.
    pub fn transaction(&self) -> Transaction {
        self.transaction
    }

    /// Whether the terminal says that TMS_CHALLENGE proved this TMS. If not, the answer is SRC 06.
    pub fn good(&self) -> bool {
        self.proof.good
    }

    /// SAC_1, for the HSM to check.
    pub fn sac_1(&self) -> [u8; MAC] {
        self.proof.sac_1
    }

    /// Who works at the terminal, and the proof of it for the HSM to check.
    pub fn operator(&self) -> Option<(&OperatorId, &[u8; OPERATOR_PROOF])> {
        self.proof.operator.as_ref().map(|(id, proof)| (id, proof))
    }

    /// Whether TMS_CHALLENGE demanded an operator. One that is demanded and missing is SRC 07, once SAC_1 is right.
    pub fn operator_demanded(&self) -> bool {
        self.operator_demanded
    }

    /// TMS_HELLO ‖ TMS_CHALLENGE ‖ TMS_PROOF, whole frames: what the keys' contexts are over.
    pub fn frames(&self) -> &[u8] {
        &self.frames
    }

    /// Gives a TMS_KEY that refuses, the end.
    ///
    /// # Errors
    /// 0001 for [`Src::Good`], which refuses nothing.
    pub fn refuse(self, src: Src) -> Result<Frame, Fault> {
        Ok(TmsKey { named: self.named, answer: Err(refusing(src)?) }.write()?)
    }

    /// Gives TMS_KEY of a program download with the session key's block; the sealed phase begins (`tms_download`).
    ///
    /// # Errors
    /// 0009 when the terminal, proven now, had asked for another suite; 0001 in a key download; 0006 for a terminal
    /// that says that its own check failed.
    pub fn open_program(self, session_block: &str) -> Result<Frame, Fault> {
        if self.transaction != Transaction::ProgramDownload {
            return Err(internal("a key download was opened as a program download"));
        }
        self.key(session_block, None)
    }

    /// Gives TMS_KEY of a key download with the session key's block and TMK's. The pending key must be in the store
    /// before. `kcv` is the key's check value, which does not travel here: KEY_CONFIRM shows that the block was opened.
    ///
    /// # Errors
    /// As [`Proof::open_program`], in a program download; 0001 for a check value of another suite.
    pub fn open_key(self, session_block: &str, tmk: &str, kcv: Kcv) -> Result<(Frame, ExpectConfirm), Fault> {
        if self.transaction == Transaction::ProgramDownload {
            return Err(internal("a program download was opened as a key download"));
        }
        if !matches!(kcv, Kcv::Tdes(_)) {
            return Err(internal("the key's check value is none of TDES"));
        }
        Ok((self.key(session_block, Some(tmk))?, ExpectConfirm::after(crate::Said::new(), alloc::vec::Vec::from([kcv]))))
    }

    fn key(self, session_block: &str, tmk: Option<&str>) -> Result<Frame, Fault> {
        let suite = self.hello.suite;
        if !self.proof.good {
            return Err(Reason::TerminalFailed.into());
        }
        if suite != Suite::TDES {
            return Err(Reason::SuiteNotSupported { suite }.into());
        }
        let keys = SessionKeys {
            transaction: self.transaction.code(),
            session: session_block.to_owned(),
            tmk: tmk.map(ToOwned::to_owned),
        };
        Ok(TmsKey { named: self.named, answer: Ok(keys) }.write()?)
    }
}

/// TMS_KEY of a key download has left.
pub type ExpectConfirm = loading::ExpectConfirm<Reason>;
/// What KEY_CONFIRM showed.
pub type Confirm = loading::Confirm<Reason>;
/// The terminal holds the key.
pub type Confirmed = loading::Confirmed<Reason>;

/// A code that refuses something.
fn refusing(src: Src) -> Result<Src, Fault> {
    if src == Src::Good { Err(internal("a refusal cannot say good")) } else { Ok(src) }
}

fn internal(why: &str) -> Fault {
    Reason::Internal { why: why.to_string() }.into()
}
