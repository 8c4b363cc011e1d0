//! One run of flow A or C on the terminal's side: what was said, and the keys that come out of it.

use anyhow::{Context, Result, anyhow, ensure};
use paycrypto::{
    digest::sha256,
    ec::{
        AgreementKey, LoadedKey, NONCE, Nonces, PublicPoint, Schedule, SharedSecret, StaticSecret,
        TranscriptHash, blocks, blocks::LoadCounter,
    },
    random,
};
use wire::{Fields, Malformed, MessageType, Serial, Tag};

use crate::{line::Line, messages::frame};

/// Bytes of a key block's context.
const CONTEXT: usize = 16;

/// The terminal's ephemeral key and nonce.
pub(super) struct Side {
    key: AgreementKey,
    nonce: [u8; NONCE],
}

/// An answer that came.
pub(super) struct Answer {
    pub(super) fields: Fields,
    pub(super) bytes: Vec<u8>,
}

/// Both sides' halves put together.
pub(super) struct Agreed {
    pub(super) z: SharedSecret,
    opener: [u8; NONCE],
    answerer: [u8; NONCE],
}

/// A run whose keys are there.
pub(super) struct Run {
    letter: u8,
    schedule: Schedule,
    /// All frames so far, with their lengths.
    pub(super) said: Vec<u8>,
    /// Their lengths.
    pub(super) sizes: Vec<usize>,
}

impl Side {
    pub(super) fn new() -> Result<Side> {
        let mut nonce = [0; NONCE];
        random::fill(&mut nonce)?;
        Ok(Side { key: AgreementKey::generate()?, nonce })
    }

    /// DF13 and DF14.
    pub(super) fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::EPHEMERAL_KEY, self.key.public())?;
        fields.push(Tag::NONCE, &self.nonce)
    }

    pub(super) fn agree(&self, answer: &Answer) -> Result<Agreed> {
        let point = PublicPoint::from_bytes(answer.get(Tag::EPHEMERAL_KEY)?)?;
        let answerer = answer.get(Tag::NONCE)?.try_into()?;
        Ok(Agreed { z: self.key.agree(&point)?, opener: self.nonce, answerer })
    }
}

impl Agreed {
    pub(super) fn nonces(&self) -> Nonces<'_> {
        Nonces { opener: &self.opener, answerer: &self.answerer }
    }
}

impl Answer {
    pub(super) async fn take(line: &mut Line, sn: &Serial, kind: MessageType) -> Result<Answer> {
        let bytes = line.expect().await?.to_vec();
        let message = wire::Frame::from_bytes(&bytes)?.message()?;
        ensure!(message.kind == kind, "{} came to {sn} instead of {kind}", message.kind);
        Ok(Answer { fields: message.fields, bytes })
    }

    pub(super) fn get(&self, tag: Tag) -> Result<&[u8]> {
        self.fields.get(tag).with_context(|| format!("{tag} is missing"))
    }

    /// The frame without this field, which is none in a template.
    pub(super) fn without(&self, kind: MessageType, tag: Tag) -> Result<Vec<u8>> {
        let bare = frame(kind, |fields| {
            [Tag::CERTIFICATE, Tag::INTERMEDIATES, Tag::EPHEMERAL_KEY, Tag::NONCE, Tag::CONFIRMATION, tag]
                .into_iter()
                .filter(|kept| *kept != tag)
                .filter_map(|kept| self.fields.get(kept).map(|value| (kept, value)))
                .try_for_each(|(kept, value)| fields.push(kept, value))
        })?;
        Ok(bare.bytes().to_vec())
    }
}

/// TH over these frames.
pub(super) fn th(letter: u8, frames: &[&[u8]]) -> TranscriptHash {
    sha256(&[b"KF2", &[letter][..], &frames.concat()].concat())
}

impl Run {
    /// `th12` is over the first two messages; `said` is these and whatever came behind.
    pub(super) fn new(
        letter: u8,
        secret: &StaticSecret<'_>,
        agreed: &Agreed,
        th12: &TranscriptHash,
        said: &[&[u8]],
    ) -> Run {
        let schedule = Schedule::new(secret, &agreed.z, &agreed.nonces(), th12);
        let sizes = said.iter().map(|frame| frame.len()).collect();
        Run { letter, schedule, said: said.concat(), sizes }
    }

    pub(super) fn push(&mut self, frame: &[u8]) {
        self.said.extend_from_slice(frame);
        self.sizes.push(frame.len());
    }

    /// Checks MAC_S, the message that carries it without it being `bare`, what was said before it being `before`.
    pub(super) fn check(&self, before: &[u8], bare: &[u8], confirmation: &[u8]) -> Result<()> {
        let th = th(self.letter, &[before, bare]);
        ensure!(self.schedule.server_confirm().confirms(&th, confirmation), "the server holds no such key");
        Ok(())
    }

    /// Says MAC_T in this message, opens the one key that comes in the answer, and confirms it.
    pub(super) async fn fetch(
        &mut self,
        line: &mut Line,
        sn: &Serial,
        slot: u8,
        (proof, keys): (MessageType, MessageType),
    ) -> Result<()> {
        let bare = frame(proof, |_| Ok(()))?;
        let mac_t = self.schedule.terminal_confirm().confirm(&th(self.letter, &[&self.said, bare.bytes()]));
        let proof = frame(proof, |fields| fields.push(Tag::CONFIRMATION, &mac_t))?;
        line.send(proof.bytes()).await?;
        self.push(proof.bytes());
        let answer = Answer::take(line, sn, keys).await?;
        let block = match answer.fields.get(Tag::KEY_BLOCK) {
            Some(block) => block,
            None => {
                let mut entries = answer.fields.templates(Tag::KEY_ENTRY);
                let entry = entries.next().context("a key came")?;
                ensure!(entries.next().is_none(), "several keys came; the server is to give one");
                entry.get(Tag::KEY_BLOCK).context("an entry has a block")?
            }
        };
        let digest = sha256(&self.said);
        let context = digest.first_chunk::<CONTEXT>().context("a context is half a digest")?;
        let (block, place) = (std::str::from_utf8(block)?, format!("{sn}/{slot:02}"));
        let (tmk, _) = blocks::unwrap_tmk(&self.schedule.kbpk(), block, &place, context, LoadCounter::NONE)
            .map_err(|e| anyhow!("{sn}: {e}"))?;
        self.push(&answer.bytes);
        self.confirm(line, sn, LoadedKey { index: slot, kcv: tmk.kcv() }).await
    }

    async fn confirm(&mut self, line: &mut Line, sn: &Serial, loaded: LoadedKey) -> Result<()> {
        let loaded = [loaded];
        let receipt = self.schedule.receipt_terminal().receipt(&th(self.letter, &[&self.said]), &loaded);
        let confirm = frame(MessageType::KeyConfirm, |fields| fields.push(Tag::RECEIPT, &receipt))?;
        line.send(confirm.bytes()).await?;
        self.push(confirm.bytes());
        let done = Answer::take(line, sn, MessageType::Done).await?;
        let (th, receipt) = (th(self.letter, &[&self.said]), done.get(Tag::RECEIPT)?);
        ensure!(
            self.schedule.receipt_server().acknowledges(&th, &loaded, receipt),
            "DONE is not the server's"
        );
        self.push(&done.bytes);
        Ok(())
    }
}
