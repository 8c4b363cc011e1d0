//! Whether a package may replace what is installed.

use std::cmp::Ordering;

use wire::Manifest;

use super::{PackageRefusal, PackageSettings};

/// What a planned package is to what is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is installed already.
    None,
    /// It is to be loaded.
    Load,
}

/// Compares a planned package with the installed one of its name, by the precedence of semantic versions.
pub(crate) fn check(
    planned: &Manifest,
    installed: Option<&Manifest>,
    settings: &PackageSettings,
) -> Result<Change, PackageRefusal> {
    let Some(installed) = installed else { return Ok(Change::Load) };
    if planned == installed {
        return Ok(Change::None);
    }
    if planned.id.kind != installed.id.kind {
        return Err(PackageRefusal::Kind { installed: installed.id.kind });
    }
    let (new, old) = (planned.id.version.semver(), installed.id.version.semver());
    match new.cmp_precedence(old) {
        // Versions that differ in build metadata only may replace each other: neither is older.
        Ordering::Equal if new == old => Err(PackageRefusal::Changed),
        Ordering::Less if settings.refuse_older => {
            Err(PackageRefusal::Older { installed: installed.id.version.clone() })
        }
        Ordering::Less | Ordering::Equal | Ordering::Greater => Ok(Change::Load),
    }
}

#[cfg(test)]
mod tests {
    use wire::{PackageId, PackageKind};

    use super::*;

    const LATCHED: PackageSettings = PackageSettings { approval_demanded: false, refuse_older: true };
    const OPEN: PackageSettings = PackageSettings { approval_demanded: false, refuse_older: false };

    fn manifest(version: &str, kind: PackageKind, content: u8) -> Manifest {
        let id = PackageId { name: "app".parse().unwrap(), version: version.parse().unwrap(), kind };
        Manifest { id, size: 1, sha256: [content; 32] }
    }

    fn app(version: &str) -> Manifest {
        manifest(version, PackageKind::Application, 1)
    }

    #[test]
    fn newer_and_first_packages_are_loaded() {
        assert_eq!(check(&app("0.1.0"), None, &LATCHED), Ok(Change::Load));
        for (old, new) in [("1.2.0", "1.10.0"), ("1.0.0-rc.2", "1.0.0-rc.10"), ("1.0.0-rc.2", "1.0.0")] {
            assert_eq!(check(&app(new), Some(&app(old)), &LATCHED), Ok(Change::Load), "{old} {new}");
        }
    }

    #[test]
    fn what_is_installed_is_not_loaded_again() {
        assert_eq!(check(&app("1.2.0"), Some(&app("1.2.0")), &LATCHED), Ok(Change::None));
    }

    #[test]
    fn an_older_version_is_refused_where_the_settings_say_so() {
        for (old, new) in [("1.10.0", "1.9.0"), ("1.0.0", "1.0.0-rc.1"), ("1.0.0-rc.10", "1.0.0-rc.9")] {
            let refused = check(&app(new), Some(&app(old)), &LATCHED);
            assert_eq!(refused, Err(PackageRefusal::Older { installed: old.parse().unwrap() }));
            // Otherwise the plan is believed: it is sealed, and a TMS plans an older version on purpose only.
            assert_eq!(check(&app(new), Some(&app(old)), &OPEN), Ok(Change::Load));
        }
    }

    #[test]
    fn one_version_has_one_content() {
        let other = manifest("1.2.0", PackageKind::Application, 2);
        assert_eq!(check(&other, Some(&app("1.2.0")), &OPEN), Err(PackageRefusal::Changed));
        let rebuilt = manifest("1.2.0+b2", PackageKind::Application, 2);
        assert_eq!(check(&rebuilt, Some(&app("1.2.0+b1")), &LATCHED), Ok(Change::Load));
    }

    #[test]
    fn a_name_keeps_its_kind() {
        let data = manifest("2.0.0", PackageKind::DataFile, 1);
        let refused = PackageRefusal::Kind { installed: PackageKind::Application };
        assert_eq!(check(&data, Some(&app("1.0.0")), &OPEN), Err(refused));
    }
}
