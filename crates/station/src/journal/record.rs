//! What a journal's records say. Postcard writes an enum by its variants' numbers: new ones go to the end.

use serde::{Deserialize, Serialize};

/// SHA-256 of a package's bytes.
pub(super) type Digest = [u8; 32];

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    /// Collecting begins; the record's own number is the run's.
    Run(Run),
    /// A terminal answered.
    Collected(Collected),
    /// What was signed.
    Package(Package),
    /// What the server said.
    Answer(Answer),
    /// What will not be packed or uploaded.
    Dropped(Dropped),
}

/// What all answers of a run were collected under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// Unix seconds.
    pub(super) at: i64,
    /// 1 or 2.
    pub(super) suite: u8,
    /// SHA-256 of the work certificate, lower-case hex.
    pub(super) work_certificate_sha256: String,
    /// In suite 02.
    pub(super) ceremony: Option<Ceremony>,
    /// Whether the new TKs are to replace ones that the KMS has.
    pub(super) replaces: bool,
    pub(super) operator: Person,
    pub(super) administrator: Person,
}

/// A ceremony of the KMS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ceremony {
    pub(super) station: String,
    pub(super) nonce: [u8; 32],
    pub(super) expires_at: i64,
}

/// Whose card was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Person {
    /// The certificate's subject, as people read it.
    pub(super) name: String,
    /// SHA-256 of the card's SubjectPublicKeyInfo.
    pub(super) key: Digest,
}

/// A terminal's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Collected {
    /// Its run.
    pub(super) run: u64,
    /// Unix seconds.
    pub(super) at: i64,
    /// The address, as it was given.
    pub(super) target: String,
    /// The serial in the frame, so that nobody needs to parse the frame to list it.
    pub(super) sn: String,
    /// The fingerprint, likewise.
    pub(super) fingerprint: String,
    /// COLLECTED, from its type to its last byte.
    pub(super) frame: Vec<u8>,
}

/// A signed package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Package {
    /// The run that its terminals are of; 0 where the journal does not know.
    pub(super) run: u64,
    /// Unix seconds.
    pub(super) at: i64,
    /// How many terminals are in it.
    pub(super) terminals: u32,
    /// The numbers of the answers that are in it.
    pub(super) answers: Vec<u64>,
    /// The package.
    pub(super) cms: Vec<u8>,
}

/// A server's answer to a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) package: Digest,
    /// Unix seconds.
    pub(super) at: i64,
    /// Absent where the server only said that these bytes arrived before (409).
    pub(super) taken: Option<Taken>,
}

/// What a server said of each terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    /// Terminals that it refused.
    pub(super) refused: u32,
    /// Terminals that people must look at.
    pub(super) alarms: u32,
    /// The body as it came.
    pub(super) body: Vec<u8>,
}

/// What goes no further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dropped {
    /// Unix seconds.
    pub(super) at: i64,
    /// Numbers of answers.
    pub(super) answers: Vec<u64>,
    /// Packages.
    pub(super) packages: Vec<Digest>,
    /// Why, in words.
    pub(super) why: String,
}
