//! The four messages of the handshake with the TMS (2-wire.md section 3, types 31–34). A PIN pad reads them from the
//! frames itself.

use alloc::{string::String, vec::Vec};

use wire::{
    Fields, Frame, Malformed, MessageType, OperatorId, SData, Src, Stage, Suite, TData, Tag, TmsVersion,
    TransactionCode,
};

use super::identification::vendor_and_model;
use crate::{
    ProtocolError,
    fault::{expect, write},
    loading::key_block,
    refusal_record,
};

pub use super::identification::{Identification, Named, Transaction};

/// Bytes of TAC_1 and SAC_1.
pub const MAC: usize = 4;
/// Bytes of an operator's proof.
pub const OPERATOR_PROOF: usize = 32;

/// DF39: the DWK travels as an X9.143 key block, as this suite always has it.
const DWK_AS_KEY_BLOCK: u8 = 0x01;
/// DF3C: good, failed.
const RESULT_GOOD: u8 = 0x00;
const RESULT_FAILED: u8 = 0x01;
/// A field that says yes by being there (DF3F).
const YES: u8 = 0x01;

/// TMS_HELLO: terminal → TMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmsHello {
    /// The suite asked for (DF01), which may be one that this side has not.
    pub suite: Suite,
    /// Who asks.
    pub identification: Identification,
    /// The version of the protocol that the terminal speaks (DF32).
    pub version: TmsVersion,
    /// What is wanted; the four digits where 2-wire.md lists no such transaction.
    pub transaction: Result<Transaction, [u8; TransactionCode::LENGTH]>,
    /// T_DATA (DF34), top bit 0.
    pub t_data: TData,
    /// Records of refusals (FF23), as they came.
    pub refusals: Vec<Fields>,
}

impl TmsHello {
    /// Reads a TMS_HELLO.
    ///
    /// # Errors
    /// When the frame is another message or malformed; T_DATA's top bit and the stage belong to the form.
    pub fn read(frame: &Frame) -> Result<TmsHello, ProtocolError> {
        let fields = expect(frame, MessageType::TmsHello)?;
        fields.expect_stage(Stage::Hello)?;
        let (vendor, model) = vendor_and_model(&fields)?;
        Ok(TmsHello {
            suite: fields.suite()?,
            identification: Identification { vendor, model, device: fields.device()? },
            version: fields.tms_version()?,
            transaction: transaction(&fields)?,
            t_data: fields.t_data()?,
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
        write(MessageType::TmsHello, |fields| {
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
pub struct TmsChallenge {
    /// Identification, as TMS_HELLO had it.
    pub named: Named,
    /// The challenge, or the SRC with which the TMS refuses; never [`Src::Good`].
    pub answer: Result<Challenge, Src>,
}

/// What a TMS that goes on says in TMS_CHALLENGE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// TAC_1 (DF36): MAC(DWK, T_DATA).
    pub tac_1: [u8; MAC],
    /// S_DATA (DF35), top bit 1.
    pub s_data: SData,
    /// The text of the DWK's key block under DMK (DF37). ASCII and not empty; whether it opens is for the PIN pad.
    pub dwk_1: String,
    /// Whether the acquirer demands a proof of the operator (DF3F).
    pub operator_demanded: bool,
}

impl TmsChallenge {
    /// Reads a TMS_CHALLENGE.
    ///
    /// # Errors
    /// When the frame is another message or malformed; S_DATA's top bit, the stage and DF39 belong to the form.
    pub fn read(frame: &Frame) -> Result<TmsChallenge, ProtocolError> {
        let fields = expect(frame, MessageType::TmsChallenge)?;
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
        write(MessageType::TmsChallenge, |fields| {
            self.named.push(fields)?;
            push_stage_and_src(fields, Stage::Challenge, self.answer.as_ref().err().copied())?;
            let Ok(challenge) = &self.answer else { return Ok(()) };
            fields.push(Tag::DWK_MODE, &[DWK_AS_KEY_BLOCK])?;
            fields.push(Tag::TAC_1, &challenge.tac_1)?;
            fields.push(Tag::S_DATA, &challenge.s_data.bytes())?;
            fields.push(Tag::DWK_1, challenge.dwk_1.as_bytes())?;
            if challenge.operator_demanded { fields.push(Tag::OPERATOR_DEMANDED, &[YES]) } else { Ok(()) }
        })
    }
}

impl Challenge {
    fn read(fields: &Fields) -> Result<Challenge, Malformed> {
        if fields.exactly(Tag::DWK_MODE)? != [DWK_AS_KEY_BLOCK] {
            return Err(Malformed::FieldValue { tag: Tag::DWK_MODE });
        }
        let operator_demanded = match fields.get(Tag::OPERATOR_DEMANDED) {
            None => false,
            Some(_) if fields.exactly(Tag::OPERATOR_DEMANDED)? == [YES] => true,
            Some(_) => return Err(Malformed::FieldValue { tag: Tag::OPERATOR_DEMANDED }),
        };
        Ok(Challenge {
            tac_1: fields.exactly(Tag::TAC_1)?,
            s_data: fields.s_data()?,
            dwk_1: key_block(fields, Tag::DWK_1)?,
            operator_demanded,
        })
    }
}

/// TMS_PROOF: terminal → TMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmsProof {
    /// Identification, as TMS_HELLO had it.
    pub named: Named,
    /// What the terminal made of TMS_CHALLENGE (DF3C). Keyferry's own terminals end a failed session with ERROR 0005
    /// instead.
    pub good: bool,
    /// SAC_1 (DF38): MAC(DWK, S_DATA). Zeros from a terminal that failed and sent none.
    pub sac_1: [u8; MAC],
    /// Operator and proof (DF3D, DF3E).
    pub operator: Option<(OperatorId, [u8; OPERATOR_PROOF])>,
}

impl TmsProof {
    /// Reads a TMS_PROOF.
    ///
    /// # Errors
    /// When the frame is another message or malformed, or has an operator without a proof or the reverse.
    pub fn read(frame: &Frame) -> Result<TmsProof, ProtocolError> {
        let fields = expect(frame, MessageType::TmsProof)?;
        fields.expect_stage(Stage::Proof)?;
        fields.src()?;
        let good = match fields.exactly(Tag::RESULT)? {
            [RESULT_GOOD] => true,
            [RESULT_FAILED] => false,
            [_] => return Err(Malformed::FieldValue { tag: Tag::RESULT }.into()),
        };
        let sac_1 = match fields.get(Tag::SAC_1) {
            None if !good => [0; MAC],
            _ => fields.exactly(Tag::SAC_1)?,
        };
        let operator = match (fields.get(Tag::OPERATOR_ID), fields.get(Tag::OPERATOR_PROOF)) {
            (None, None) => None,
            (Some(id), Some(_)) => Some((OperatorId::from_bytes(id)?, fields.exactly(Tag::OPERATOR_PROOF)?)),
            (None, Some(_)) => return Err(Malformed::MissingField { tag: Tag::OPERATOR_ID }.into()),
            (Some(_), None) => return Err(Malformed::MissingField { tag: Tag::OPERATOR_PROOF }.into()),
        };
        Ok(TmsProof { named: Named::read(&fields)?, good, sac_1, operator })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: its fields are short.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::TmsProof, |fields| {
            self.named.push(fields)?;
            let src = if self.good { None } else { Some(Src::AuthenticationFailed) };
            push_stage_and_src(fields, Stage::Proof, src)?;
            fields.push(Tag::RESULT, &[if self.good { RESULT_GOOD } else { RESULT_FAILED }])?;
            fields.push(Tag::SAC_1, &self.sac_1)?;
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
pub struct TmsKey {
    /// Identification, as TMS_HELLO had it.
    pub named: Named,
    /// The keys, or the SRC with which the TMS refuses; never [`Src::Good`].
    pub answer: Result<SessionKeys, Src>,
}

/// What a TMS that goes on says in TMS_KEY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKeys {
    /// The transaction that the session is for (DF33).
    pub transaction: TransactionCode,
    /// The text of the session key's block under DWK (DF40).
    pub session: String,
    /// The text of TMK's block under DWK (DF40 in FF21): in 0001, and in no other.
    pub tmk: Option<String>,
}

impl TmsKey {
    /// Reads a TMS_KEY.
    ///
    /// # Errors
    /// When the frame is another message or malformed, and when there is not exactly one FF21 with exactly DF40 in 0001
    /// or any in 0002.
    pub fn read(frame: &Frame) -> Result<TmsKey, ProtocolError> {
        let fields = expect(frame, MessageType::TmsKey)?;
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
        write(MessageType::TmsKey, |fields| {
            self.named.push(fields)?;
            push_stage_and_src(fields, Stage::Key, self.answer.as_ref().err().copied())?;
            let Ok(keys) = &self.answer else { return Ok(()) };
            fields.push(Tag::TRANSACTION_CODE, &keys.transaction.digits())?;
            fields.push(Tag::KEY_BLOCK, keys.session.as_bytes())?;
            let Some(tmk) = &keys.tmk else { return Ok(()) };
            let mut entry = Fields::new();
            entry.push(Tag::KEY_BLOCK, tmk.as_bytes())?;
            fields.push_template(Tag::KEY_ENTRY, entry)
        })
    }
}

impl SessionKeys {
    fn read(fields: &Fields) -> Result<SessionKeys, Malformed> {
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
        Ok(SessionKeys { transaction, session: key_block(fields, Tag::KEY_BLOCK)?, tmk })
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
