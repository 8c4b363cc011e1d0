//! Loading in suite 02: ephemeral keys, the device's signature and the KLD's, receipts (3-hardened.md, "B").

use flows::{
    EcAes,
    local_load::{
        Reason,
        kld::{Accept, Confirmed, Told},
        messages::SignedKey,
    },
    suite::{Ephemeral, Receipt, Signature},
};
use hsm::{
    HsmError, Refusal,
    commands::{Acknowledge, LoadEc, LoadTerminalEc, LoadedEc, LoadingOpened, OpenLoading, Peer},
};
use pki::{Certificate, Role};
use sha2::{Digest, Sha256};
use wire::{Kcv, Suite};

use super::{
    Kld, Listed, LoadFault, What,
    suite::{KldSuite, Made, Order},
};
use crate::{Checks, clock, text};

impl KldSuite for EcAes {
    type Ticket = Vec<u8>;
    type Check = Vec<u8>;

    fn open(kld: &Kld) -> Result<(Ephemeral, Vec<u8>), LoadFault> {
        let command = OpenLoading { owner: kld.owner().to_owned() };
        let LoadingOpened { point, nonce, ticket } = kld.hsm()?.call(command).map_err(LoadFault::Hsm)?;
        let opening = Ephemeral::from_parts(&point, nonce)
            .ok_or(LoadFault::Hsm(HsmError::WrongReply("OpenLoading")))?;
        Ok((opening, ticket))
    }

    /// The device certificate leads to a root that may issue it and names this PIN pad (000D), and its key signed this
    /// KLD_CONNECT and this KLD_ACCEPT (0006).
    fn check_device(accept: &Accept<EcAes>, checks: &Checks) -> Result<Option<String>, LoadFault> {
        let refused = |why: String| Reason::CertificateRefused { why };
        let answer = accept.answer();
        let certificate =
            Certificate::from_der(&answer.certificate).map_err(|error| refused(error.to_string()))?;
        // The wire has no place for intermediates of a device certificate.
        let device = checks
            .verify(&certificate, &[], Role::Device, clock::now())
            .map_err(|reason| refused(reason.to_string()))?;
        let pin_pad = accept.device().pin_pad();
        if device.serial_number() != Some(pin_pad.as_str()) {
            let found = device.serial_number().unwrap_or_default();
            return Err(refused(format!("it is {found}'s, and the PIN pad is {pin_pad}")).into());
        }
        let key = device.signing_key().map_err(|reason| refused(reason.to_string()))?;
        let signed = accept.signed().map_err(|fault| fault.reason)?;
        if !key.verifies(&signed, &answer.signature.0) {
            return Err(Reason::DeviceNotProven.into());
        }
        Ok(Some(text::hex(&Sha256::digest(certificate.spki_der()))))
    }

    fn make(
        kld: &Kld,
        order: &Order<'_>,
        ticket: Vec<u8>,
        accept: &Accept<EcAes>,
    ) -> Result<Made<EcAes>, LoadFault> {
        let Order { downloader, terminal, what, history, exchange } = order;
        let given = || kld.given(terminal.pin_pad(), what.slot(), Suite::EC_AES);
        let (load, counter) = match what {
            What::Tmk { slot } => {
                let avoid = history.aes_check_values(terminal.pin_pad(), what);
                let counter = history.next_counter(terminal.pin_pad(), *slot);
                (LoadEc::Tmk { slot: *slot, counter, held: given(), avoid }, Some(counter))
            }
            What::Dmk => (LoadEc::Dmk { held: given() }, None),
            What::Dik2 { label } => {
                let (_, dik1) = kld.dik1(Suite::EC_AES, label.as_deref())?;
                let dsn = terminal.sn.clone();
                (LoadEc::Dik2 { dik1: dik1.clone(), dsn, factor: None }, None)
            }
        };
        let Ephemeral { point, nonce } = accept.peer();
        let command = LoadTerminalEc {
            ticket,
            work_key: downloader.private.clone(),
            pin_pad: terminal.pin_pad().to_owned(),
            owner: kld.owner().to_owned(),
            peer: Peer { point: point.to_vec(), nonce: *nonce },
            connect: accept.connect().bytes().to_vec(),
            accept: accept.accept().bytes().to_vec(),
            accept_bare: accept.accept_bare().map_err(|fault| fault.reason)?.bytes().to_vec(),
            load,
            escrow_under: Some((*exchange).clone()),
        };
        let LoadedEc { factor, wrapped, signature, kcv, escrow, ticket, .. } = match kld.hsm()?.call(command)
        {
            Ok(loaded) => loaded,
            Err(HsmError::Refused(Refusal::FromTerminal { defect })) => {
                return Err(Reason::PointRefused { why: defect }.into());
            }
            Err(error) => return Err(LoadFault::Hsm(error)),
        };
        let wrong = || LoadFault::Hsm(HsmError::WrongReply("LoadTerminalEc"));
        let signature = Signature(signature.try_into().map_err(|_| wrong())?);
        let key = SignedKey { factor, block: wrapped, signature };
        Ok(Made { key, kcv: Kcv::Aes(kcv), escrow: escrow.ok_or_else(wrong)?, counter, check: ticket })
    }

    /// Only the HSM can check the terminal's receipt; it gives its own for DONE in the same act.
    fn confirm(
        kld: &Kld,
        terminal: &Listed,
        ticket: Vec<u8>,
        told: Told<EcAes>,
    ) -> Result<Confirmed<EcAes>, LoadFault> {
        let command = Acknowledge {
            ticket,
            said_before_confirm: told.said_before().bytes().to_vec(),
            said_before_done: told.said().bytes().to_vec(),
            receipt: told.told().0,
            pin_pad: terminal.pin_pad().to_owned(),
            owner: kld.owner().to_owned(),
        };
        match kld.hsm()?.call(command) {
            Ok(receipt) => Ok(told.acknowledged(Receipt(receipt))),
            Err(HsmError::Refused(Refusal::NotProven)) => Err(told.wrong().reason.into()),
            Err(error) => Err(LoadFault::Hsm(error)),
        }
    }
}
