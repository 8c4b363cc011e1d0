//! JSON Schema 2020-12 over parameters.

use serde_json::Value;
use wire::PackageName;

use super::PackageRefusal;

/// What a package's name becomes to name its schema, a data file.
const SUFFIX: &str = ".schema.json";
/// The one dialect, which a schema may name in `$schema`.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Longest reason, characters: a schema may hold long lists.
const MAX_WHY: usize = 200;

/// The name of the data file that is the schema of these parameters; nothing when that would be no name.
pub(super) fn name_of(parameters: &PackageName) -> Option<PackageName> {
    PackageName::parse(&format!("{}{SUFFIX}", parameters.as_str())).ok()
}

/// The parameters whose schema this data file is, if it is one.
pub(super) fn parameters_of(data_file: &PackageName) -> Option<PackageName> {
    PackageName::parse(data_file.as_str().strip_suffix(SUFFIX)?).ok()
}

/// Checks a document. What a schema refers to must be inside it: nothing is fetched.
pub(super) fn check(name: &PackageName, schema: &[u8], document: &Value) -> Result<(), PackageRefusal> {
    let refused = |why: &str| PackageRefusal::Schema { name: name.to_string(), why: why.to_owned() };
    let schema: Value = serde_json::from_slice(schema).map_err(|_| refused("is no JSON"))?;
    if schema.get("$schema").is_some_and(|dialect| dialect.as_str().map(trim) != Some(DIALECT)) {
        return Err(refused("is of another dialect than 2020-12"));
    }
    let validator = jsonschema::draft202012::options()
        .offline()
        .build(&schema)
        .map_err(|error| refused(&short(&format!("cannot be used: {}", error.masked()))))?;
    // The value stays out of the words: parameters may hold what is nobody's business.
    validator.validate(document).map_err(|error| {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "the document".into() } else { place };
        PackageRefusal::Invalid { why: short(&format!("{place}: {}", error.masked())) }
    })
}

fn short(why: &str) -> String {
    why.chars().take(MAX_WHY).collect()
}

/// `…/schema#` means the same.
fn trim(dialect: &str) -> &str {
    dialect.trim_end_matches('#')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(schema: &Value, document: &Value) -> Result<(), PackageRefusal> {
        let name = "menu.schema.json".parse().unwrap();
        check(&name, &serde_json::to_vec(schema).unwrap(), document)
    }

    #[test]
    fn a_document_that_holds_is_accepted_and_another_is_told_where() {
        let schema = json!({
            "$schema": DIALECT, "type": "object", "required": ["limit"],
            "properties": { "limit": { "type": "integer", "maximum": 500 } },
            "unevaluatedProperties": false,
        });
        assert_eq!(checked(&schema, &json!({ "limit": 500 })), Ok(()));
        let too_much = checked(&schema, &json!({ "limit": 501_234 })).unwrap_err();
        let PackageRefusal::Invalid { why } = &too_much else { panic!("{too_much}") };
        assert!(why.starts_with("/limit") && !why.contains("501234"), "{why}");
        for document in [json!({}), json!({ "limit": 1, "other": 2 }), json!([])] {
            assert!(matches!(checked(&schema, &document), Err(PackageRefusal::Invalid { .. })), "{document}");
        }
    }

    #[test]
    fn a_schema_that_refers_outside_itself_is_refused_and_nothing_is_fetched() {
        let schema = json!({ "$ref": "https://example.com/schema.json" });
        let refused = checked(&schema, &json!({})).unwrap_err();
        assert!(matches!(refused, PackageRefusal::Schema { .. }), "{refused}");
    }

    #[test]
    fn a_schema_of_another_dialect_or_none_is_refused() {
        for schema in [
            json!({ "$schema": "http://json-schema.org/draft-07/schema#" }),
            json!({ "type": "no such type" }),
            json!({ "$schema": 7 }),
            json!(7),
        ] {
            let refused = checked(&schema, &json!({}));
            assert!(matches!(refused, Err(PackageRefusal::Schema { .. })), "{schema}: {refused:?}");
        }
    }

    #[test]
    fn a_schema_that_goes_in_circles_ends() {
        for schema in [
            json!({ "$ref": "#" }),
            json!({ "allOf": [{ "$ref": "#" }] }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } }),
            json!({ "$dynamicRef": "#x", "$dynamicAnchor": "x" }),
        ] {
            // Whether it is refused or means nothing is the library's to say: it must say something.
            let _ = checked(&schema, &json!({ "a": 1 }));
        }
    }

    #[test]
    fn a_reason_is_short() {
        let names: Vec<_> = (0..500).map(|number| format!("member{number}")).collect();
        let refused = checked(&json!({ "enum": names }), &json!({})).unwrap_err();
        assert!(refused.to_string().chars().count() < MAX_WHY + 100, "{refused}");
    }

    #[test]
    fn names_lead_to_schemas_and_back() {
        let menu: PackageName = "menu".parse().unwrap();
        let schema = name_of(&menu).unwrap();
        assert_eq!(schema.as_str(), "menu.schema.json");
        assert_eq!(parameters_of(&schema), Some(menu.clone()));
        assert_eq!(parameters_of(&menu), None);
        assert_eq!(name_of(&"m".repeat(60).parse().unwrap()), None);
    }
}
