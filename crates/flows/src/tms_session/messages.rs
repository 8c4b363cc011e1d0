//! The four messages of the handshake with the TMS (2-wire.md section 3, types 31–34). A PIN pad reads them from the
//! frames itself. What differs from suite to suite is a [`Part`].

use alloc::{string::String, vec::Vec};

use wire::{
    Fields, Frame, Malformed, MessageType, OperatorId, SData, Src, Stage, TData, Tag, TmsVersion,
    TransactionCode,
};

use super::{TmsSuite, identification::vendor_and_model};
use crate::{
    ProtocolError, Tdes,
    loading::key_block,
    refusal_record,
    suite::{self, Part},
};

pub use super::{
    ec_aes::{Answer, Heard},
    identification::{Identification, Named, Transaction},
    tdes::{MAC, Sac1, SessionBlock, TacAndDwk},
};

/// Bytes of an operator's proof.
pub const OPERATOR_PROOF: usize = 32;

/// DF3C: good, failed.
const RESULT_GOOD: u8 = 0x00;
const RESULT_FAILED: u8 = 0x01;
/// A field that says yes by being there (DF3F).
const YES: u8 = 0x01;

/// TMS_HELLO: terminal → TMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmsHello<S: TmsSuite = Tdes> {
    /// The suite asked for (DF01), which may be one that this side has not.
    pub suite: wire::Suite,
    /// Who asks.
    pub identification: Identification,
    /// The version of the protocol that the terminal speaks (DF32).
    pub version: TmsVersion,
    /// What is wanted; the four digits where 2-wire.md lists no such transaction.
    pub transaction: Result<Transaction, [u8; TransactionCode::LENGTH]>,
    /// T_DATA (DF34), top bit 0.
    pub t_data: TData,
    /// What the terminal opens with beside T_DATA.
    pub opening: S::Opening,
    /// Records of refusals (FF23), as they came.
    pub refusals: Vec<Fields>,
}

impl<S: TmsSuite> TmsHello<S> {
    /// Reads a TMS_HELLO.
    ///
    /// # Errors
    /// When the frame is another message or malformed; T_DATA's top bit and the stage belong to the form.
    pub fn read(frame: &Frame) -> Result<TmsHello<S>, ProtocolError> {
        let fields = S::read(frame, MessageType::TmsHello)?;
        fields.expect_stage(Stage::Hello)?;
        let (vendor, model) = vendor_and_model(&fields)?;
        Ok(TmsHello {
            suite: fields.suite()?,
            identification: Identification { vendor, model, device: fields.device()? },
            version: fields.tms_version()?,
            transaction: transaction(&fields)?,
            t_data: fields.t_data()?,
            opening: Part::read(&fields)?,
            refusals: refusal_record::read(&fields)?,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the refusal records are too many.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        let Identification { vendor, model, device } = &self.identification;
        let digits = self.transaction.map_or_else(|digits| digits, |known| known.code().digits());
        suite::write::<S>(MessageType::TmsHello, |fields| {
            fields.push(Tag::SUITE, &[self.suite.byte()])?;
            fields.push(Tag::VENDOR_ID, vendor.as_bytes())?;
            fields.push(Tag::MODEL_ID, model.as_bytes())?;
            fields.push_device(device)?;
            fields.push(Tag::TMS_VERSION, &self.version.bytes())?;
            fields.push(Tag::TRANSACTION_CODE, &digits)?;
            fields.push(Tag::STAGE, &[Stage::Hello.byte()])?;
            fields.push(Tag::T_DATA, &self.t_data.bytes())?;
            if let Ok(Transaction::KeyDownload { slot }) = self.transaction {
                fields.push(Tag::SLOT, &[slot.index()])?;
            }
            self.opening.push(fields)?;
            refusal_record::push(fields, &self.refusals)
        })
    }

    /// What the later messages repeat of it.
    pub fn named(&self) -> Named {
        let Identification { vendor, model, device } = &self.identification;
        Named { vendor: vendor.clone(), model: model.clone(), sn: device.sn().clone(), version: self.version }
    }
}

/// TMS_CHALLENGE: TMS → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmsChallenge<S: TmsSuite = Tdes> {
    /// Identification, as TMS_HELLO had it.
    pub named: Named,
    /// The challenge, or the SRC with which the TMS refuses; never [`Src::Good`].
    pub answer: Result<Challenge<S>, Src>,
}

/// What a TMS that goes on says in TMS_CHALLENGE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge<S: TmsSuite = Tdes> {
    /// That it holds DMK.
    pub proof: S::Challenge,
    /// S_DATA (DF35), top bit 1.
    pub s_data: SData,
    /// Whether the acquirer demands a proof of the operator (DF3F).
    pub operator_demanded: bool,
}

impl<S: TmsSuite> TmsChallenge<S> {
    /// Reads a TMS_CHALLENGE.
    ///
    /// # Errors
    /// When the frame is another message or malformed; S_DATA's top bit, the stage and DF39 belong to the form.
    pub fn read(frame: &Frame) -> Result<TmsChallenge<S>, ProtocolError> {
        let fields = S::read(frame, MessageType::TmsChallenge)?;
        fields.expect_stage(Stage::Challenge)?;
        let answer = match fields.src()? {
            Src::Good => Ok(Challenge::read(&fields)?),
            src => Err(src),
        };
        Ok(TmsChallenge { named: Named::read(&fields)?, answer })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for a block that no frame can carry.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::TmsChallenge, |fields| match &self.answer {
            Err(src) => {
                self.named.push(fields)?;
                push_stage_and_src(fields, Stage::Challenge, Some(*src))
            }
            Ok(Challenge { proof, s_data, operator_demanded }) => {
                Self::push_common(fields, &self.named, s_data, *operator_demanded)?;
                proof.push(fields)
            }
        })
    }

    /// All of a TMS_CHALLENGE that goes on but its proof.
    pub(super) fn push_common(
        fields: &mut Fields,
        named: &Named,
        s_data: &SData,
        operator_demanded: bool,
    ) -> Result<(), Malformed> {
        named.push(fields)?;
        push_stage_and_src(fields, Stage::Challenge, None)?;
        fields.push(Tag::DWK_MODE, &[S::DWK_MODE])?;
        fields.push(Tag::S_DATA, &s_data.bytes())?;
        if operator_demanded { fields.push(Tag::OPERATOR_DEMANDED, &[YES]) } else { Ok(()) }
    }
}

impl<S: TmsSuite> Challenge<S> {
    fn read(fields: &Fields) -> Result<Challenge<S>, Malformed> {
        if fields.exactly(Tag::DWK_MODE)? != [S::DWK_MODE] {
            return Err(Malformed::FieldValue { tag: Tag::DWK_MODE });
        }
        let operator_demanded = match fields.get(Tag::OPERATOR_DEMANDED) {
            None => false,
            Some(_) if fields.exactly(Tag::OPERATOR_DEMANDED)? == [YES] => true,
            Some(_) => return Err(Malformed::FieldValue { tag: Tag::OPERATOR_DEMANDED }),
        };
        Ok(Challenge { proof: Part::read(fields)?, s_data: fields.s_data()?, operator_demanded })
    }
}

/// TMS_PROOF: terminal → TMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmsProof<S: TmsSuite = Tdes> {
    /// Identification, as TMS_HELLO had it.
    pub named: Named,
    /// What the terminal made of TMS_CHALLENGE (DF3C). Keyferry's own terminals end a failed session with ERROR 0005
    /// instead.
    pub good: bool,
    /// The terminal's proof. Only one that failed may leave it out; in suite 02 it is made over the message without it.
    pub proof: Option<S::Proof>,
    /// Operator and proof (DF3D, DF3E).
    pub operator: Option<(OperatorId, [u8; OPERATOR_PROOF])>,
}

impl<S: TmsSuite> TmsProof<S> {
    /// Reads a TMS_PROOF.
    ///
    /// # Errors
    /// When the frame is another message or malformed, or has an operator without a proof or the reverse.
    pub fn read(frame: &Frame) -> Result<TmsProof<S>, ProtocolError> {
        let fields = S::read(frame, MessageType::TmsProof)?;
        fields.expect_stage(Stage::Proof)?;
        fields.src()?;
        let good = match fields.exactly(Tag::RESULT)? {
            [RESULT_GOOD] => true,
            [RESULT_FAILED] => false,
            [_] => return Err(Malformed::FieldValue { tag: Tag::RESULT }.into()),
        };
        let proof = match S::Proof::read(&fields) {
            Ok(proof) => Some(proof),
            Err(Malformed::MissingField { .. }) if !good => None,
            Err(malformed) => return Err(malformed.into()),
        };
        let operator = match (fields.get(Tag::OPERATOR_ID), fields.get(Tag::OPERATOR_PROOF)) {
            (None, None) => None,
            (Some(id), Some(_)) => Some((OperatorId::from_bytes(id)?, fields.exactly(Tag::OPERATOR_PROOF)?)),
            (None, Some(_)) => return Err(Malformed::MissingField { tag: Tag::OPERATOR_ID }.into()),
            (Some(_), None) => return Err(Malformed::MissingField { tag: Tag::OPERATOR_PROOF }.into()),
        };
        Ok(TmsProof { named: Named::read(&fields)?, good, proof, operator })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: its fields are short.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::TmsProof, |fields| {
            self.named.push(fields)?;
            let src = if self.good { None } else { Some(Src::AuthenticationFailed) };
            push_stage_and_src(fields, Stage::Proof, src)?;
            fields.push(Tag::RESULT, &[if self.good { RESULT_GOOD } else { RESULT_FAILED }])?;
            self.proof.iter().try_for_each(|proof| proof.push(fields))?;
            match &self.operator {
                Some((id, proof)) => {
                    fields.push(Tag::OPERATOR_ID, id.as_bytes())?;
                    fields.push(Tag::OPERATOR_PROOF, proof)
                }
                None => Ok(()),
            }
        })
    }
}

/// TMS_KEY: TMS → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmsKey<S: TmsSuite = Tdes> {
    /// Identification, as TMS_HELLO had it.
    pub named: Named,
    /// The keys, or the SRC with which the TMS refuses; never [`Src::Good`].
    pub answer: Result<SessionKeys<S>, Src>,
}

/// What a TMS that goes on says in TMS_KEY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKeys<S: TmsSuite = Tdes> {
    /// The transaction that the session is for (DF33).
    pub transaction: TransactionCode,
    /// What begins the sealed phase.
    pub key: S::Key,
    /// The text of TMK's block (DF40 in FF21): in 0001, and in no other. Under DWK in suite 01, under the flow's own key
    /// in suite 02.
    pub tmk: Option<String>,
}

impl<S: TmsSuite> TmsKey<S> {
    /// Reads a TMS_KEY.
    ///
    /// # Errors
    /// When the frame is another message or malformed, and when there is not exactly one FF21 with exactly DF40 in 0001
    /// or any in 0002.
    pub fn read(frame: &Frame) -> Result<TmsKey<S>, ProtocolError> {
        let fields = S::read(frame, MessageType::TmsKey)?;
        fields.expect_stage(Stage::Key)?;
        let answer = match fields.src()? {
            Src::Good => Ok(SessionKeys::read(&fields)?),
            src => Err(src),
        };
        Ok(TmsKey { named: Named::read(&fields)?, answer })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for blocks that no frame can carry.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::TmsKey, |fields| match &self.answer {
            Err(src) => {
                self.named.push(fields)?;
                push_stage_and_src(fields, Stage::Key, Some(*src))
            }
            Ok(SessionKeys { transaction, key, tmk }) => {
                Self::push_common(fields, &self.named, *transaction, tmk.as_deref())?;
                key.push(fields)
            }
        })
    }

    /// All of a TMS_KEY that goes on but what begins the sealed phase.
    pub(super) fn push_common(
        fields: &mut Fields,
        named: &Named,
        transaction: TransactionCode,
        tmk: Option<&str>,
    ) -> Result<(), Malformed> {
        named.push(fields)?;
        push_stage_and_src(fields, Stage::Key, None)?;
        fields.push(Tag::TRANSACTION_CODE, &transaction.digits())?;
        let Some(tmk) = tmk else { return Ok(()) };
        let mut entry = Fields::new();
        entry.push(Tag::KEY_BLOCK, tmk.as_bytes())?;
        fields.push_template(Tag::KEY_ENTRY, entry)
    }
}

impl<S: TmsSuite> SessionKeys<S> {
    fn read(fields: &Fields) -> Result<SessionKeys<S>, Malformed> {
        let tag = Tag::KEY_ENTRY;
        let digits = fields.exactly(Tag::TRANSACTION_CODE)?;
        let transaction = TransactionCode::from_digits(digits)
            .ok_or(Malformed::FieldValue { tag: Tag::TRANSACTION_CODE })?;
        let mut entries = fields.templates(tag);
        let tmk = match (transaction, entries.next(), entries.next()) {
            (TransactionCode::ProgramDownload, None, _) => None,
            (TransactionCode::ProgramDownload, Some(_), _) => return Err(Malformed::UnwantedField { tag }),
            (TransactionCode::KeyDownload, None, _) => return Err(Malformed::MissingField { tag }),
            (TransactionCode::KeyDownload, Some(entry), None) if entry.len() == 1 => {
                Some(key_block(entry, Tag::KEY_BLOCK)?)
            }
            (TransactionCode::KeyDownload, ..) => return Err(Malformed::Template { tag }),
        };
        Ok(SessionKeys { transaction, key: Part::read(fields)?, tmk })
    }
}

/// DF33 and, with 0001, DF04.
fn transaction(fields: &Fields) -> Result<Result<Transaction, [u8; TransactionCode::LENGTH]>, Malformed> {
    let digits: [u8; TransactionCode::LENGTH] = fields.exactly(Tag::TRANSACTION_CODE)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::FieldValue { tag: Tag::TRANSACTION_CODE });
    }
    Ok(match TransactionCode::from_digits(digits) {
        Some(TransactionCode::KeyDownload) => Ok(Transaction::KeyDownload { slot: fields.slot()? }),
        Some(TransactionCode::ProgramDownload) => Ok(Transaction::ProgramDownload),
        None => Err(digits),
    })
}

fn push_stage_and_src(fields: &mut Fields, stage: Stage, refused: Option<Src>) -> Result<(), Malformed> {
    fields.push(Tag::STAGE, &[stage.byte()])?;
    fields.push(Tag::SRC, refused.unwrap_or(Src::Good).digits().as_bytes())
}
