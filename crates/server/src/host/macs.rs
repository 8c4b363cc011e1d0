//! MACs of transaction messages under terminals' MAKs, in the HSM.

use std::net::IpAddr;

use hsm::{
    Hsm, HsmError, KeyBlock, Refusal, Sensitive,
    commands::{MAX_MAC_DATA, MacAnswer, MacItem, TerminalMacs},
};
use store::{Store, WorkingKind};

use super::{
    items::{Found, NOT_FOUND, Whose},
    refusal::{HostError, HostRefusal},
};
use crate::kms::Kms;

/// The most bytes that all MACs of one request are over: with their key blocks they are one HSM command.
pub(crate) const MAX_REQUEST_DATA: usize = 512 * 1024;

/// One MAC to make or to check.
pub(crate) struct MacRequest<'a> {
    /// The terminal and its slot.
    pub(crate) whose: Whose<'a>,
    /// What it is over.
    pub(crate) data: Sensitive<Vec<u8>>,
    /// The MAC to check; nothing to make one.
    pub(crate) mac: Option<Vec<u8>>,
}

/// A MAC, or whether one is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MacResult {
    /// The MAC: 8 bytes of suite 01, 16 of suite 02.
    Made(Vec<u8>),
    /// Whether the one given is right.
    Checked(bool),
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Makes and checks these, in order: one read and one HSM command for all of them.
    pub(crate) async fn macs(
        &self,
        items: Vec<Result<MacRequest<'_>, HostRefusal>>,
        source: IpAddr,
    ) -> Result<Vec<Result<MacResult, HostRefusal>>, HostError> {
        let bytes: usize = items.iter().flatten().map(|item| item.data.expose().len()).sum();
        if bytes > MAX_REQUEST_DATA {
            return Err(HostRefusal::Malformed("all data of one request may have 512 KiB; split it").into());
        }
        let whose = items.iter().map(|item| item.as_ref().map(|item| item.whose).map_err(|error| *error));
        let keys = self.working_keys(whose, WorkingKind::Mak).await?;
        let mut results = Vec::with_capacity(items.len());
        let mut asked = Vec::with_capacity(items.len());
        let mut terminals = Vec::with_capacity(items.len());
        for (item, key) in items.into_iter().zip(keys) {
            let ready = match key {
                Ok(found) => match item.and_then(|item| asked_of(item, &found)) {
                    Ok(item) => {
                        asked.push(item);
                        terminals.push(found.sn);
                        Ok(MacResult::Checked(false))
                    }
                    Err(refusal) => Err((found.sn.to_string(), refusal)),
                },
                Err(refusal) => Err((NOT_FOUND.to_owned(), refusal)),
            };
            results.push(ready.map_err(|(subject, refusal)| {
                self.refused_posp.count(source, &subject, refusal.code());
                refusal
            }));
        }
        if asked.is_empty() {
            return Ok(results);
        }
        let wanted = asked.len();
        let command = TerminalMacs { owner: self.acquirer.id.clone(), items: asked };
        let outcomes = self.hsm.call(command).await?;
        if outcomes.len() != wanted {
            return Err(HsmError::WrongReply("TerminalMacs").into());
        }
        let mut outcomes = outcomes.into_iter().zip(terminals);
        for result in results.iter_mut().filter(|result| result.is_ok()) {
            let Some((outcome, sn)) = outcomes.next() else { break };
            let told = match outcome {
                Ok(MacAnswer::Made(mac)) => Ok(MacResult::Made(mac)),
                Ok(MacAnswer::Right) => Ok(MacResult::Checked(true)),
                Ok(MacAnswer::Wrong) => Ok(MacResult::Checked(false)),
                Err(Refusal::Malformed { .. }) => Err(HostRefusal::MacData),
                Err(refusal) => Err(HostRefusal::of_key(&refusal)),
            };
            match &told {
                Ok(MacResult::Checked(false)) => self.refused_posp.count(source, sn.as_str(), "wrong-mac"),
                Ok(_) => {}
                Err(refusal) => self.refused_posp.count(source, sn.as_str(), refusal.code()),
            }
            *result = told;
        }
        Ok(results)
    }
}

fn asked_of(item: MacRequest<'_>, found: &Found) -> Result<MacItem, HostRefusal> {
    if !(1..=MAX_MAC_DATA).contains(&item.data.expose().len()) {
        return Err(HostRefusal::MacData);
    }
    Ok(MacItem {
        pin_pad: found.key.key_serial.to_string(),
        slot: found.slot.index(),
        mak: KeyBlock::from_text(found.key.key.block.clone()),
        data: item.data,
        mac: item.mac,
    })
}
