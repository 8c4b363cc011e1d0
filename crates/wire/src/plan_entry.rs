//! Package entries with their signatures, as a plan has them (2-wire.md section 2, FF22 and FF24).

use alloc::{borrow::ToOwned, vec::Vec};

use crate::{Fields, Malformed, Manifest, Tag};

/// A signature over a manifest with what it takes to check it. Believed by nobody yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSignature {
    /// The signer's certificate (DF0C): X.509, DER; not empty.
    pub certificate: Vec<u8>,
    /// Those between it and its root (DF0D): DER concatenated, nearest to it first; may be empty.
    pub intermediates: Vec<u8>,
    /// The signature (DF49) over [`Manifest::signed_bytes`]; not empty.
    pub signature: Vec<u8>,
}

impl PackageSignature {
    /// Reads DF0C, DF0D if it is there, and DF49.
    ///
    /// # Errors
    /// When DF0C or DF49 is missing or one of the three is there and empty.
    pub fn from_fields(fields: &Fields) -> Result<PackageSignature, Malformed> {
        Ok(PackageSignature {
            certificate: not_empty(Tag::CERTIFICATE, fields.required(Tag::CERTIFICATE)?)?,
            intermediates: match fields.get(Tag::INTERMEDIATES) {
                Some(intermediates) => not_empty(Tag::INTERMEDIATES, intermediates)?,
                None => Vec::new(),
            },
            signature: not_empty(Tag::SIGNATURE, fields.required(Tag::SIGNATURE)?)?,
        })
    }

    /// The fields, as FF24 holds them.
    ///
    /// # Errors
    /// [`Malformed::FrameTooLong`] for a value that no frame can carry.
    pub fn to_fields(&self) -> Result<Fields, Malformed> {
        let mut fields = Fields::new();
        self.push(&mut fields)?;
        Ok(fields)
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::SIGNATURE, &self.signature)?;
        fields.push(Tag::CERTIFICATE, &self.certificate)?;
        if self.intermediates.is_empty() {
            return Ok(());
        }
        fields.push(Tag::INTERMEDIATES, &self.intermediates)
    }
}

/// One package that a terminal may load: a plan's FF22.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanEntry {
    /// The package and its bytes.
    pub manifest: Manifest,
    /// The vendor's signature.
    pub signature: PackageSignature,
    /// The acquirer's approval (FF24), where the acquirer gives one.
    pub approval: Option<PackageSignature>,
}

impl PlanEntry {
    /// Reads the fields of one FF22.
    ///
    /// # Errors
    /// When a field is missing or has a value that it cannot have; [`Malformed::Template`] for two approvals.
    pub fn from_fields(fields: &Fields) -> Result<PlanEntry, Malformed> {
        let mut approvals = fields.templates(Tag::APPROVAL).map(PackageSignature::from_fields);
        let approval = approvals.next().transpose()?;
        if approvals.next().is_some() {
            return Err(Malformed::Template { tag: Tag::APPROVAL });
        }
        Ok(PlanEntry {
            manifest: Manifest::from_fields(fields)?,
            signature: PackageSignature::from_fields(fields)?,
            approval,
        })
    }

    /// The fields of its FF22.
    ///
    /// # Errors
    /// [`Malformed::FrameTooLong`] for a value that no frame can carry.
    pub fn to_fields(&self) -> Result<Fields, Malformed> {
        let mut fields = self.manifest.to_fields();
        self.signature.push(&mut fields)?;
        if let Some(approval) = &self.approval {
            fields.push_template(Tag::APPROVAL, approval.to_fields()?)?;
        }
        Ok(fields)
    }
}

fn not_empty(tag: Tag, value: &[u8]) -> Result<Vec<u8>, Malformed> {
    if value.is_empty() { Err(Malformed::FieldLength { tag, found: 0 }) } else { Ok(value.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PackageId;

    fn signature(mark: u8) -> PackageSignature {
        PackageSignature {
            certificate: Vec::from([0x30, mark]),
            intermediates: Vec::new(),
            signature: std::vec![mark; 256],
        }
    }

    fn entry() -> PlanEntry {
        let id = PackageId {
            name: "pay-app".parse().unwrap(),
            version: "1.2.0".parse().unwrap(),
            kind: crate::PackageKind::Application,
        };
        PlanEntry {
            manifest: Manifest { id, size: 7, sha256: [0xAB; 32] },
            signature: signature(1),
            approval: None,
        }
    }

    #[test]
    fn entry_is_read_back_with_and_without_approval_and_intermediates() {
        let approval = PackageSignature { intermediates: Vec::from([0x30, 0]), ..signature(2) };
        for entry in [entry(), PlanEntry { approval: Some(approval), ..entry() }] {
            assert_eq!(PlanEntry::from_fields(&entry.to_fields().unwrap()), Ok(entry));
        }
    }

    #[test]
    fn entry_without_one_of_its_fields_is_refused() {
        let all = entry().to_fields().unwrap();
        for missing in [
            Tag::PACKAGE_NAME,
            Tag::PACKAGE_VERSION,
            Tag::PACKAGE_KIND,
            Tag::PACKAGE_SIZE,
            Tag::PACKAGE_SHA256,
            Tag::CERTIFICATE,
            Tag::SIGNATURE,
        ] {
            let mut fields = Fields::new();
            for field in all.iter().filter(|field| field.tag() != missing) {
                if let crate::Value::Bytes(bytes) = field.value() {
                    fields.push(field.tag(), bytes).unwrap();
                }
            }
            assert_eq!(PlanEntry::from_fields(&fields), Err(Malformed::MissingField { tag: missing }));
        }
    }

    #[test]
    fn empty_parts_of_a_signature_are_refused() {
        for tag in [Tag::CERTIFICATE, Tag::INTERMEDIATES, Tag::SIGNATURE] {
            let mut fields = Fields::new();
            for known in [Tag::CERTIFICATE, Tag::INTERMEDIATES, Tag::SIGNATURE] {
                fields.push(known, if known == tag { &[] } else { &[0x30, 0] }).unwrap();
            }
            let refused = Malformed::FieldLength { tag, found: 0 };
            assert_eq!(PackageSignature::from_fields(&fields), Err(refused));
        }
    }

    #[test]
    fn second_approval_and_a_half_one_are_refused() {
        let mut fields = entry().to_fields().unwrap();
        for _ in 0..2 {
            fields.push_template(Tag::APPROVAL, signature(2).to_fields().unwrap()).unwrap();
        }
        assert_eq!(PlanEntry::from_fields(&fields), Err(Malformed::Template { tag: Tag::APPROVAL }));
        let mut fields = entry().to_fields().unwrap();
        fields.push_template(Tag::APPROVAL, Fields::new()).unwrap();
        assert_eq!(PlanEntry::from_fields(&fields), Err(Malformed::MissingField { tag: Tag::CERTIFICATE }));
    }
}
