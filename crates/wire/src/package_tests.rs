//! Names, versions and manifests of packages.

use super::*;

fn manifest() -> Manifest {
    let id = PackageId {
        name: "pay-app".parse().unwrap(),
        version: "1.2.0".parse().unwrap(),
        kind: PackageKind::Application,
    };
    Manifest { id, size: 0x0102, sha256: [0xAB; 32] }
}

#[test]
fn name_has_1_to_64_bytes() {
    assert!(PackageName::parse("a").is_ok());
    assert!(PackageName::parse(&"é".repeat(32)).is_ok());
    for text in ["", &"é".repeat(32).replacen('é', "éa", 1), &"a".repeat(65)] {
        assert_eq!(PackageName::parse(text), Err(Malformed::PackageName), "{text}");
    }
}

#[test]
fn name_cannot_climb_out_of_a_folder() {
    for text in ["a/b", "/a", "a\\b", "a\0", "..", "a..b", "../a"] {
        assert_eq!(PackageName::parse(text), Err(Malformed::PackageName), "{text:?}");
    }
    assert_eq!(PackageName::from_bytes(&[b'a', 0xFF]), Err(Malformed::PackageName));
    assert!(PackageName::parse("a.b c-d_é").is_ok());
}

#[test]
fn control_characters_of_a_name_do_not_reach_a_screen() {
    let name = PackageName::parse("a\x1B[2J\n").unwrap();
    assert_eq!(name.to_string(), "a\\u{1b}[2J\\n");
    assert!(!std::format!("{name:?}").contains('\x1B'));
}

#[test]
fn version_is_semantic_and_written_as_it_was_read() {
    for text in ["0.0.0", "1.2.3", "1.2.3-rc.1", "1.2.3+build.7", "1.2.3-rc.1+b", "18446744073709551615.0.0"]
    {
        assert_eq!(PackageVersion::parse(text).unwrap().to_string(), text);
    }
    for text in ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "v1.2.3", " 1.2.3", "1.2.3-rc.01"] {
        assert_eq!(PackageVersion::parse(text), Err(Malformed::PackageVersion), "{text}");
    }
    assert_eq!(PackageVersion::from_bytes(&[0xFF]), Err(Malformed::PackageVersion));
}

#[test]
fn version_has_up_to_32_characters() {
    let with = |digits: usize| std::format!("1.0.0-{}", "a".repeat(digits));
    assert!(PackageVersion::parse(&with(26)).is_ok());
    assert_eq!(PackageVersion::parse(&with(27)), Err(Malformed::PackageVersion));
}

/// The order is semver.org's own example in its clause 11.
#[test]
fn versions_are_in_the_order_of_precedence() {
    let texts = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.10.0",
        "2.0.0",
    ];
    let versions = texts.map(|text| PackageVersion::parse(text).unwrap());
    assert!(versions.is_sorted_by(|older, newer| older < newer));
}

#[test]
fn kinds_are_01_to_03() {
    for (byte, kind) in [1, 2, 3].into_iter().zip(PackageKind::ALL) {
        assert_eq!((PackageKind::from_byte(byte), kind.byte()), (Ok(*kind), byte));
    }
    for byte in [0, 4, 0xFF] {
        assert_eq!(PackageKind::from_byte(byte), Err(Malformed::FieldValue { tag: Tag::PACKAGE_KIND }));
    }
}

#[test]
fn signature_is_over_the_five_fields_in_order() {
    let expected = [
        &[0xDF, 0x41, 7][..],
        b"pay-app",
        &[0xDF, 0x42, 5],
        b"1.2.0",
        &[0xDF, 0x43, 1, 1],
        &[0xDF, 0x44, 8, 0, 0, 0, 0, 0, 0, 1, 2],
        &[0xDF, 0x45, 32],
        &[0xAB; 32],
    ];
    assert_eq!(manifest().signed_bytes(), expected.concat());
}

#[test]
fn signed_bytes_differ_for_every_part() {
    let good = manifest();
    let mut others = std::vec![good.clone(); 5];
    others[0].id.name = "pay-apps".parse().unwrap();
    others[1].id.version = "1.2.1".parse().unwrap();
    others[2].id.kind = PackageKind::DataFile;
    others[3].size = 0x0103;
    others[4].sha256[31] ^= 1;
    for other in others {
        assert_ne!(other.signed_bytes(), good.signed_bytes(), "{other:?}");
        assert_eq!(Manifest::from_fields(&other.to_fields()), Ok(other));
    }
}

#[test]
fn package_names_itself_to_people() {
    assert_eq!(manifest().id.to_string(), "pay-app 1.2.0 (application)");
}
