//! The TMS's role. Between messages the driver asks HSM and store with what the state gives it.

use alloc::{borrow::ToOwned, string::ToString, vec::Vec};

use wire::{Fields, Frame, Kcv, MessageType, OperatorId, SData, Src, Suite, TData, TmsVersion};

use super::{
    Fault, Identification, Reason, TmsSuite, Transaction,
    messages::{Challenge, Named, OPERATOR_PROOF, SessionKeys, TmsChallenge, TmsHello, TmsKey, TmsProof},
};
use crate::{Said, Tdes, loading, suite};

/// A connection on which TMS_HELLO is to come; also one whose session is over, on which the terminal opens a new one.
#[derive(Debug, Default)]
pub struct ExpectHello;

impl ExpectHello {
    /// The start of the role.
    pub fn new() -> ExpectHello {
        ExpectHello
    }

    /// Takes TMS_HELLO of suite 01, or of one that nobody has.
    ///
    /// # Errors
    /// 0002, also for a wrong top bit of T_DATA and for DF03 equal to DF02; 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Hello, Fault> {
        self.on_frame_of(frame)
    }

    /// Takes TMS_HELLO of a suite.
    ///
    /// # Errors
    /// 0002, also for a wrong top bit of T_DATA and for DF03 equal to DF02; 0003.
    pub fn on_frame_of<S: TmsSuite>(self, frame: &Frame) -> Result<Hello<S>, Fault> {
        let hello = TmsHello::read(frame)?;
        let mut said = Said::new();
        said.push(frame);
        Ok(Hello { hello, frame: frame.clone(), said })
    }
}

/// TMS_HELLO was read; nobody has proved anything yet.
#[derive(Debug)]
pub struct Hello<S: TmsSuite = Tdes> {
    hello: TmsHello<S>,
    frame: Frame,
    said: Said,
}

impl<S: TmsSuite> Hello<S> {
    /// The suite that the terminal asks for. A terminal that asks for another than the role's is told so only when
    /// it is proven: [`Proof::begin_program`] and [`Proof::load_key`] then refuse with 0009.
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

    /// What the terminal opens with beside T_DATA.
    pub fn opening(&self) -> &S::Opening {
        &self.hello.opening
    }

    /// Records of refusals (FF23: DF28, DF29, DF2A each), unproved like everything here.
    pub fn refusals(&self) -> &[Fields] {
        &self.hello.refusals
    }

    /// TMS_HELLO as it came.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    pub(super) fn named(&self) -> Named {
        self.hello.named()
    }

    /// Gives a TMS_CHALLENGE that refuses, the end. It must say nothing of whether the serial is known.
    ///
    /// # Errors
    /// 0001 for [`Src::Good`], which refuses nothing.
    pub fn refuse(self, src: Src) -> Result<Frame, Fault> {
        Ok(TmsChallenge::<S> { named: self.hello.named(), answer: Err(refusing(src)?) }.write()?)
    }

    /// Gives TMS_CHALLENGE with what the HSM made: for an unknown terminal, too, with values of the same form that
    /// nothing proves (2-wire.md section 8). This role behaves the same for both.
    ///
    /// # Errors
    /// 0001 when the transaction is none that this TMS has: [`Hello::refuse`] is for that.
    pub fn answer(
        self,
        proof: S::Challenge,
        s_data: &SData,
        operator_demanded: bool,
    ) -> Result<(Frame, ExpectProof<S>), Fault> {
        let Hello { hello, mut said, .. } = self;
        let transaction =
            hello.transaction.map_err(|_| internal("a transaction that is not supported was challenged"))?;
        let named = hello.named();
        let challenge = Challenge { proof, s_data: *s_data, operator_demanded };
        let challenge = TmsChallenge::<S> { named: named.clone(), answer: Ok(challenge) }.write()?;
        said.push(&challenge);
        Ok((challenge, ExpectProof { hello, named, transaction, operator_demanded, said }))
    }
}

/// TMS_CHALLENGE has left; TMS_PROOF is to come.
#[derive(Debug)]
pub struct ExpectProof<S: TmsSuite = Tdes> {
    hello: TmsHello<S>,
    named: Named,
    transaction: Transaction,
    operator_demanded: bool,
    said: Said,
}

impl<S: TmsSuite> ExpectProof<S> {
    /// Takes TMS_PROOF.
    ///
    /// # Errors
    /// 0002, also for another identification; 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Proof<S>, Fault> {
        let ExpectProof { hello, named, transaction, operator_demanded, said: before } = self;
        let proof = TmsProof::read(frame)?;
        proof.named.expect(&named, Src::Good)?;
        let mut said = before.clone();
        said.push(frame);
        let frame = frame.clone();
        Ok(Proof { hello, named, transaction, operator_demanded, proof, frame, before, said })
    }
}

/// TMS_PROOF was read. The HSM now checks the proof in it, then the operator, and makes what TMS_KEY brings in one act; a
/// driver that has that has therefore a proven terminal.
#[derive(Debug)]
pub struct Proof<S: TmsSuite = Tdes> {
    hello: TmsHello<S>,
    named: Named,
    transaction: Transaction,
    operator_demanded: bool,
    proof: TmsProof<S>,
    frame: Frame,
    before: Said,
    said: Said,
}

impl<S: TmsSuite> Proof<S> {
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

    /// The terminal's proof, for the HSM to check. Only one that failed may have sent none.
    pub fn proof(&self) -> Option<&S::Proof> {
        self.proof.proof.as_ref()
    }

    /// Who works at the terminal, and the proof of it for the HSM to check.
    pub fn operator(&self) -> Option<(&OperatorId, &[u8; OPERATOR_PROOF])> {
        self.proof.operator.as_ref().map(|(id, proof)| (id, proof))
    }

    /// Whether TMS_CHALLENGE demanded an operator. One that is demanded and missing is SRC 07, once the terminal's proof
    /// is right.
    pub fn operator_demanded(&self) -> bool {
        self.operator_demanded
    }

    /// TMS_PROOF as it came.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// TMS_HELLO and TMS_CHALLENGE.
    pub fn said_before(&self) -> &Said {
        &self.before
    }

    /// TMS_HELLO, TMS_CHALLENGE and TMS_PROOF: what the keys' contexts are over.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// TMS_HELLO ‖ TMS_CHALLENGE ‖ TMS_PROOF, whole frames: the bytes of [`Proof::said`].
    pub fn frames(&self) -> &[u8] {
        self.said.bytes()
    }

    /// Gives a TMS_KEY that refuses, the end.
    ///
    /// # Errors
    /// 0001 for [`Src::Good`], which refuses nothing.
    pub fn refuse(self, src: Src) -> Result<Frame, Fault> {
        Ok(TmsKey::<S> { named: self.named, answer: Err(refusing(src)?) }.write()?)
    }

    /// Gives TMS_KEY of a program download; the sealed phase begins (`tms_download`).
    ///
    /// # Errors
    /// 0009 when the terminal, proven now, had asked for another suite; 0001 in a key download; 0006 for a terminal
    /// that says that its own check failed.
    pub fn begin_program(self, key: S::Key) -> Result<Frame, Fault> {
        if self.transaction != Transaction::ProgramDownload {
            return Err(internal("a key download was opened as a program download"));
        }
        self.key(key, None)
    }

    /// Gives TMS_KEY of a key download with TMK's block. The pending key must be in the store before. `kcv` is the key's
    /// check value, which does not travel here: KEY_CONFIRM shows that the block was opened.
    ///
    /// # Errors
    /// As [`Proof::begin_program`], in a program download; 0001 for a check value of another suite.
    pub fn load_key(self, key: S::Key, tmk: &str, kcv: Kcv) -> Result<(Frame, ExpectConfirm<S>), Fault> {
        if self.transaction == Transaction::ProgramDownload {
            return Err(internal("a program download was opened as a key download"));
        }
        if !S::has_kcv(kcv) {
            return Err(internal("the key's check value is of another suite"));
        }
        let mut said = self.said.clone();
        let frame = self.key(key, Some(tmk))?;
        said.push(&frame);
        Ok((frame, ExpectConfirm::after(said, Vec::from([kcv]))))
    }

    fn key(self, key: S::Key, tmk: Option<&str>) -> Result<Frame, Fault> {
        let suite = self.hello.suite;
        if !self.proof.good {
            return Err(Reason::TerminalFailed.into());
        }
        if suite != S::ID {
            return Err(Reason::SuiteNotSupported { suite }.into());
        }
        let keys = SessionKeys { transaction: self.transaction.code(), key, tmk: tmk.map(ToOwned::to_owned) };
        Ok(TmsKey::<S> { named: self.named, answer: Ok(keys) }.write()?)
    }

    /// TMS_KEY without what begins the sealed phase.
    pub(super) fn bare_key(&self, tmk: Option<&str>) -> Result<Frame, Fault> {
        if tmk.is_some() != self.transaction.slot().is_some() {
            return Err(internal("a TMK is of a key download, and of no other"));
        }
        let code = self.transaction.code();
        Ok(suite::write::<S>(MessageType::TmsKey, |fields| {
            TmsKey::<S>::push_common(fields, &self.named, code, tmk)
        })?)
    }
}

/// TMS_KEY of a key download has left.
pub type ExpectConfirm<S = Tdes> = loading::ExpectConfirm<Reason, S>;
/// KEY_CONFIRM was read.
pub type Told<S = Tdes> = loading::Told<Reason, S>;
/// What KEY_CONFIRM of suite 01 showed.
pub type Confirm = loading::Confirm<Reason>;
/// The terminal holds the key.
pub type Confirmed<S = Tdes> = loading::Confirmed<Reason, S>;

/// A code that refuses something.
fn refusing(src: Src) -> Result<Src, Fault> {
    if src == Src::Good { Err(internal("a refusal cannot say good")) } else { Ok(src) }
}

fn internal(why: &str) -> Fault {
    Reason::Internal { why: why.to_string() }.into()
}
