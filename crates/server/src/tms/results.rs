//! What a report says of each deployment. Pure.
//!
//! TMS_REPORT has one result for all packages (DF3C). Which of them failed may stand in the status (DF2D):
//! `"refused":[{"name":…,"version":…,"code":…}]`, as Keyferry's own terminals write it. From a terminal that does not say,
//! a bad result is that of everything it was offered and has not installed.

use serde_json::Value;
use store::{OfferState, Package};

use super::plan::{self, TerminalView};

/// The code of a refusal that was this server's own: the package was no longer given, because a person paused or
/// withdrew it. No failure of the package's.
const NOT_GIVEN: &str = "not-given";

/// A package that a terminal says it could not install: name and version.
pub type Refused = (String, String);

/// The packages that a status names as refused; nothing if it does not name them all.
#[must_use]
pub fn refused(status: &str) -> Option<Vec<Refused>> {
    let status: Value = serde_json::from_str(status).ok()?;
    if status.get("more_refused").and_then(Value::as_u64).is_some_and(|more| more > 0) {
        return None;
    }
    let text = |one: &Value, name| one.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let listed = status.get("refused")?.as_array()?.iter();
    let failures = listed.filter(|one| text(one, "code").as_deref() != Some(NOT_GIVEN));
    failures.map(|one| Some((text(one, "name")?, text(one, "version")?))).collect()
}

/// What becomes of the offers that are open: `terminal` is as it reports to be. A deployment failed when its package, or
/// one that this requires, did.
#[must_use]
pub fn results(
    terminal: &TerminalView<'_>,
    packages: &[Package],
    good: bool,
    refused: Option<&[Refused]>,
) -> Vec<(i64, OfferState)> {
    let is_there = |package: &Package| {
        terminal
            .installed
            .iter()
            .any(|(name, version, _)| *name == package.name && *version == package.version)
    };
    let of = |id: i64| packages.iter().find(|package| package.id == id);
    let named = |(name, version): &Refused| {
        packages.iter().find(|package| package.name == *name && package.version == *version)
    };
    let failed = |offered: i64| match refused {
        None => true,
        Some(refused) => refused
            .iter()
            .filter_map(named)
            .any(|package| plan::leads_to(terminal, packages, offered, package.id)),
    };
    let open = terminal.offers.iter().filter(|offer| offer.state == OfferState::Offered);
    open.filter_map(|offer| match of(offer.package) {
        Some(package) if is_there(package) => Some((offer.deployment, OfferState::Installed)),
        _ if !good && failed(offer.package) => Some((offer.deployment, OfferState::Failed)),
        _ => None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use store::OfferState::{Failed, Installed, Offered};

    use super::*;
    use crate::tms::plan::estate::{Terminal, offer, package, requiring};

    fn packages() -> [Package; 4] {
        [
            requiring(package(1, "app", "2.0.0"), &[("lib", "^1")]),
            package(2, "lib", "1.4.0"),
            package(3, "other", "1.0.0"),
            package(4, "app", "1.0.0"),
        ]
    }

    fn told(
        installed: &[(&str, &str)],
        good: bool,
        refused: Option<&[(&str, &str)]>,
    ) -> Vec<(i64, OfferState)> {
        let mut terminal = Terminal::with(installed);
        terminal.offers = vec![offer(11, 1, Offered), offer(13, 3, Offered), offer(14, 4, Installed)];
        let refused: Option<Vec<Refused>> = refused.map(|refused| {
            refused.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
        });
        results(&terminal.view(), &packages(), good, refused.as_deref())
    }

    #[test]
    fn what_is_installed_went_well_whatever_the_report_says() {
        for good in [true, false] {
            let installed = [("app", "2.0.0"), ("other", "1.0.0")];
            assert_eq!(told(&installed, good, None), [(11, Installed), (13, Installed)]);
        }
        assert_eq!(told(&[("app", "1.0.0")], true, None), [], "not reached so far");
    }

    #[test]
    fn a_bad_report_without_names_is_about_all_that_is_not_installed() {
        assert_eq!(told(&[("other", "1.0.0")], false, None), [(11, Failed), (13, Installed)]);
    }

    #[test]
    fn a_bad_report_with_names_is_about_them_and_about_what_requires_them() {
        assert_eq!(told(&[], false, Some(&[("other", "1.0.0")])), [(13, Failed)]);
        assert_eq!(told(&[], false, Some(&[("lib", "1.4.0")])), [(11, Failed)]);
        assert_eq!(told(&[], false, Some(&[("lib", "9.9.9"), ("unknown", "1.0.0")])), []);
        assert_eq!(told(&[], false, Some(&[])), []);
    }

    #[test]
    fn names_are_read_from_the_status_but_for_what_was_not_given() {
        let status = r#"{"life_cycle":"deployed","refused":[{"name":"a","version":"1.0.0","code":"hash","why":"x"},
                         {"name":"b","version":"1.0.0","code":"not-given"},{"name":"c","version":"2.0.0"}]}"#;
        let names = |list: &[(&str, &str)]| -> Vec<Refused> {
            list.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
        };
        assert_eq!(refused(status), Some(names(&[("a", "1.0.0"), ("c", "2.0.0")])));
        for incomplete in [
            "{}",
            "[]",
            "no JSON",
            r#"{"refused":{}}"#,
            r#"{"refused":[{"name":"a"}]}"#,
            r#"{"refused":[],"more_refused":1}"#,
        ] {
            assert_eq!(refused(incomplete), None, "{incomplete}");
        }
        assert_eq!(refused(r#"{"refused":[],"more_refused":0}"#), Some(vec![]));
    }
}
