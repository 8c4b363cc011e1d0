//! What a key under the LMK is for: the policy, as a table.
//!
//! Each purpose has its X9.143 usage, algorithm and mode of use, and a text of its own in optional block `21`, since
//! two purposes may share a usage. A key is made with one purpose and opens for no other (R8).

use hsm::KeyBlock;
use keyblock::{Algorithm, Header, Mode, Usage};

/// The optional block that holds the purpose's text.
pub(crate) const PURPOSE: &str = "21";

/// The one thing a key under the LMK may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Pr: opens collected transport keys.
    KmsWork,
    /// A server's TLS key: signs handshakes.
    TlsServer,
    /// TEK: wraps a TMK on its way.
    Tek,
    /// AUK: answers and checks challenges.
    Auk,
    /// TMK: is wrapped under TEK, Rnd1 of flow B, TK of flow C, DWK, an exchange key; wraps working keys.
    Tmk,
    /// A KLD's pair: opens Rnd1 and signs what is loaded, the one exception to one use (2-wire.md section 5).
    KldWork,
    /// The remote key server's pair: opens factors and proofs.
    RksWork,
    /// DIK1: DIK2 is derived from it.
    Dik1,
    /// DMK: is loaded into a terminal, and wraps the DWKs of its sessions.
    Dmk,
    /// The factor with which a DIK2 was derived.
    Factor,
    /// PIK: is wrapped under TK of flow C or a TMK; PINs are translated from it.
    Pik,
    /// MAK: is wrapped under TK of flow C or a TMK; makes and checks MACs.
    Mak,
    /// A key agreed by components, for blocks between KLD and KMS.
    Exchange,
    /// One component of a key, until all are there.
    Component,
    /// One component of an AES key.
    ComponentAes,
    /// TDK: is wrapped under a TMK.
    Tdk,
    /// A TDES zone master key: opens and wraps blocks of zone keys, and of an estate that moves in.
    ZoneMasterTdes,
    /// An AES-256 zone master key.
    ZoneMasterAes,
    /// A zone's TDES PIN key: PINs are translated to it.
    ZonePinTdes,
    /// A zone's AES PIN key.
    ZonePinAes,
    /// An operator's verifier: checks his proofs.
    Operator,
    /// TMK of suite 02: is wrapped under K(kbpk), an exchange key; wraps working keys.
    TmkAes,
    /// PIK of suite 02: is wrapped under K(kbpk) or a TMK; PINs are translated from it.
    PikAes,
    /// MAK of suite 02: is wrapped under K(kbpk) or a TMK; makes and checks MACs.
    MakAes,
    /// TDK of suite 02: is wrapped under a TMK.
    TdkAes,
    /// DMK of suite 02: is loaded into a terminal; the keys of its sessions are derived with it.
    DmkAes,
    /// The KMS's P-256 key for key agreement: opens collected transport keys of suite 02.
    KmsAgreement,
    /// The remote key server's P-256 signing key.
    RksSigning,
    /// A KLD's P-256 signing key.
    KldSigning,
    /// TEK of suite 02: the keys of a download are derived with it.
    TekAes,
    /// AUK of suite 02, as TEK.
    AukAes,
    /// DIK1 of suite 02: DIK2 is derived from it.
    Dik1Aes,
    /// The factor with which a DIK2 of suite 02 was derived.
    FactorAes,
    /// An AES-256 key agreed by components, for blocks of suite 02's keys between KLD and KMS.
    ExchangeAes,
    /// PK: protects the TKs of batches between this system and one partner, MTMS and KMS.
    BatchProtect,
    /// PK of suite 02.
    BatchProtectAes,
    /// MAK of an MTMS and a KMS: makes and checks the MACs of batches and receipts.
    BatchMac,
    /// The same of suite 02.
    BatchMacAes,
}

/// One row of the table.
pub(crate) struct Rule {
    pub(crate) text: &'static str,
    pub(crate) usage: Usage,
    pub(crate) algorithm: Algorithm,
    pub(crate) mode: Mode,
}

/// `K3`, X9.143 table 2: asymmetric key for key agreement or key wrapping.
const KEY_WRAPPING_PAIR: Usage = usage(*b"K3");
/// `B3`, X9.143 table 2: key derivation key, not of DUKPT.
pub(crate) const DERIVATION: Usage = usage(*b"B3");
/// `11`, 2-wire.md section 4: DMK.
pub(crate) const DMK: Usage = usage(*b"11");
/// `13`, of this project, towards the KMS only: a factor.
pub(crate) const FACTOR: Usage = usage(*b"13");

/// `14`, of this project, under the LMK only: an operator's verifier.
const VERIFIER: Usage = usage(*b"14");

/// Evaluated when compiled: a wrong one does not build.
const fn usage(text: [u8; 2]) -> Usage {
    match Usage::from_ascii(text) {
        Ok(usage) => usage,
        Err(_) => unreachable!(),
    }
}

impl Purpose {
    /// Every purpose, for tests that try each as every other.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 38] = [
        Self::KmsWork,
        Self::TlsServer,
        Self::Tek,
        Self::Auk,
        Self::Tmk,
        Self::KldWork,
        Self::RksWork,
        Self::Dik1,
        Self::Dmk,
        Self::Factor,
        Self::Pik,
        Self::Mak,
        Self::Exchange,
        Self::Component,
        Self::ComponentAes,
        Self::Tdk,
        Self::ZoneMasterTdes,
        Self::ZoneMasterAes,
        Self::ZonePinTdes,
        Self::ZonePinAes,
        Self::Operator,
        Self::TmkAes,
        Self::PikAes,
        Self::MakAes,
        Self::TdkAes,
        Self::DmkAes,
        Self::KmsAgreement,
        Self::RksSigning,
        Self::KldSigning,
        Self::TekAes,
        Self::AukAes,
        Self::Dik1Aes,
        Self::FactorAes,
        Self::ExchangeAes,
        Self::BatchProtect,
        Self::BatchProtectAes,
        Self::BatchMac,
        Self::BatchMacAes,
    ];

    /// Key pairs that are kept in a backup: what others encrypted to them is lost without them.
    pub(crate) const BACKED_UP: [Self; 4] = [Self::KmsWork, Self::RksWork, Self::KldWork, Self::KmsAgreement];

    pub(crate) fn rule(self) -> Rule {
        let rule = |text, usage, algorithm, mode| Rule { text, usage, algorithm, mode };
        match self {
            Self::KmsWork => rule("KMS-WORK", KEY_WRAPPING_PAIR, Algorithm::RSA, Mode::DECRYPT),
            Self::TlsServer => rule("TLS-SERVER", Usage::SIGNATURE, Algorithm::RSA, Mode::SIGN),
            Self::Tek => rule("TEK", Usage::KEY_BLOCK_PROTECTION, Algorithm::TDES, Mode::ENCRYPT),
            Self::Auk => rule("AUK", Usage::DATA_ENCRYPTION, Algorithm::TDES, Mode::ENCRYPT),
            Self::Tmk => rule("TMK", Usage::KEY_BLOCK_PROTECTION, Algorithm::TDES, Mode::BOTH),
            Self::KldWork => rule("KLD-WORK", KEY_WRAPPING_PAIR, Algorithm::RSA, Mode::SIGN_AND_DECRYPT),
            Self::RksWork => rule("RKS-WORK", KEY_WRAPPING_PAIR, Algorithm::RSA, Mode::DECRYPT),
            Self::Dik1 => rule("DIK1", DERIVATION, Algorithm::TDES, Mode::DERIVE),
            Self::Dmk => rule("DMK", DMK, Algorithm::TDES, Mode::NO_RESTRICTION),
            Self::Factor => rule("FACTOR", FACTOR, Algorithm::TDES, Mode::NO_RESTRICTION),
            Self::Pik => rule("PIK", Usage::PIN_ENCRYPTION, Algorithm::TDES, Mode::ENCRYPT),
            Self::Mak => rule("MAK", Usage::MAC_ALGORITHM_3, Algorithm::TDES, Mode::GENERATE_AND_VERIFY),
            Self::Exchange => rule("EXCHANGE", Usage::KEY_BLOCK_PROTECTION, Algorithm::TDES, Mode::BOTH),
            Self::Component => rule("COMPONENT", Usage::KEY_BLOCK_PROTECTION, Algorithm::TDES, Mode::BOTH),
            Self::ComponentAes => {
                rule("COMPONENT-AES", Usage::KEY_BLOCK_PROTECTION, Algorithm::AES, Mode::BOTH)
            }
            Self::Tdk => rule("TDK", Usage::DATA_ENCRYPTION, Algorithm::TDES, Mode::ENCRYPT),
            Self::ZoneMasterTdes => {
                rule("ZONE-MASTER", Usage::KEY_BLOCK_PROTECTION, Algorithm::TDES, Mode::BOTH)
            }
            Self::ZoneMasterAes => {
                rule("ZONE-MASTER-AES", Usage::KEY_BLOCK_PROTECTION, Algorithm::AES, Mode::BOTH)
            }
            Self::ZonePinTdes => rule("ZONE-PIN", Usage::PIN_ENCRYPTION, Algorithm::TDES, Mode::ENCRYPT),
            Self::ZonePinAes => rule("ZONE-PIN-AES", Usage::PIN_ENCRYPTION, Algorithm::AES, Mode::ENCRYPT),
            Self::Operator => rule("OPERATOR", VERIFIER, Algorithm::HMAC, Mode::VERIFY),
            Self::TmkAes => rule("TMK-AES", Usage::KEY_BLOCK_PROTECTION, Algorithm::AES, Mode::BOTH),
            Self::PikAes => rule("PIK-AES", Usage::PIN_ENCRYPTION, Algorithm::AES, Mode::ENCRYPT),
            Self::MakAes => rule("MAK-AES", Usage::MAC_CMAC, Algorithm::AES, Mode::GENERATE_AND_VERIFY),
            Self::TdkAes => rule("TDK-AES", Usage::DATA_ENCRYPTION, Algorithm::AES, Mode::ENCRYPT),
            Self::DmkAes => rule("DMK-AES", DMK, Algorithm::AES, Mode::NO_RESTRICTION),
            Self::KmsAgreement => {
                rule("KMS-AGREEMENT", KEY_WRAPPING_PAIR, Algorithm::ELLIPTIC_CURVE, Mode::DERIVE)
            }
            Self::RksSigning => rule("RKS-SIGNING", Usage::SIGNATURE, Algorithm::ELLIPTIC_CURVE, Mode::SIGN),
            Self::KldSigning => rule("KLD-SIGNING", Usage::SIGNATURE, Algorithm::ELLIPTIC_CURVE, Mode::SIGN),
            Self::TekAes => rule("TEK-AES", DERIVATION, Algorithm::AES, Mode::DERIVE),
            Self::AukAes => rule("AUK-AES", DERIVATION, Algorithm::AES, Mode::DERIVE),
            Self::Dik1Aes => rule("DIK1-AES", DERIVATION, Algorithm::AES, Mode::DERIVE),
            Self::FactorAes => rule("FACTOR-AES", FACTOR, Algorithm::AES, Mode::NO_RESTRICTION),
            Self::ExchangeAes => {
                rule("EXCHANGE-AES", Usage::KEY_BLOCK_PROTECTION, Algorithm::AES, Mode::BOTH)
            }
            Self::BatchProtect => {
                rule("BATCH-PROTECT", Usage::KEY_BLOCK_PROTECTION, Algorithm::TDES, Mode::BOTH)
            }
            Self::BatchProtectAes => {
                rule("BATCH-PROTECT-AES", Usage::KEY_BLOCK_PROTECTION, Algorithm::AES, Mode::BOTH)
            }
            Self::BatchMac => rule("BATCH-MAC", Usage::MAC_CMAC, Algorithm::TDES, Mode::GENERATE_AND_VERIFY),
            Self::BatchMacAes => {
                rule("BATCH-MAC-AES", Usage::MAC_CMAC, Algorithm::AES, Mode::GENERATE_AND_VERIFY)
            }
        }
    }

    /// Whether its blocks hold an AES key, or a secret that keys are derived from: such a one is refused when it is one
    /// part repeated, however it came under the LMK (R6). A factor is no key; a component is looked at when it is typed.
    pub(crate) fn is_aes_key(self) -> bool {
        self.rule().algorithm == Algorithm::AES && !matches!(self, Self::FactorAes | Self::ComponentAes)
    }

    /// Whether a block that was not opened yet says that it is of this purpose: for choosing how to open it, only.
    pub(crate) fn is_said_of(self, block: &KeyBlock) -> bool {
        Header::parse(block.as_str()).is_ok_and(|(header, _)| self.is_of(&header))
    }

    /// Whether a header, authentic by now, is of this purpose.
    pub(crate) fn is_of(self, header: &Header) -> bool {
        let rule = self.rule();
        header.optional(PURPOSE) == Some(rule.text)
            && header.usage == rule.usage
            && header.algorithm == rule.algorithm
            && header.mode == rule.mode
    }
}
