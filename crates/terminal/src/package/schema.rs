//! JSON Schema 2020-12 over parameters.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use jsonschema::PatternOptions;
use serde_json::Value;
use wire::PackageName;

use super::PackageRefusal;
use super::bounded::within;

/// What a package's name becomes to name its schema, a data file.
const SUFFIX: &str = ".schema.json";
/// The one dialect, which a schema may name in `$schema`.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

// What a signed schema may ask of a terminal. None of these limits is near what parameters need; without them a schema of
// a few hundred bytes doubles its work with each reference, and a longer one fills memory or the stack.

/// Longest time that a document is judged.
const LONGEST: Duration = Duration::from_secs(20);
/// Most objects in a schema: each may be one step deeper on the stack.
const MAX_OBJECTS: usize = 10_000;
/// Most regular expressions, and bytes that each may take when it is compiled.
const MAX_PATTERNS: usize = 256;
const MAX_PATTERN: usize = 1 << 20;
/// Most steps back that one of them may take in one text.
const MAX_BACKTRACKS: usize = 100_000;
/// Deepest document, levels.
const MAX_DEPTH: usize = 32;

/// Judgements that take longer and that nobody waits for any more.
static GIVEN_UP: AtomicUsize = AtomicUsize::new(0);

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

/// Checks a document. What a schema refers to must be inside it: nothing is fetched. However the schema was made, this
/// ends, and soon.
pub(super) fn check(name: &PackageName, schema: &[u8], document: &Value) -> Result<(), PackageRefusal> {
    check_within(LONGEST, &GIVEN_UP, name, schema, document)
}

fn check_within(
    longest: Duration,
    given_up: &'static AtomicUsize,
    name: &PackageName,
    schema: &[u8],
    document: &Value,
) -> Result<(), PackageRefusal> {
    let refused = |why: &str| PackageRefusal::Schema { name: name.to_string(), why: why.to_owned() };
    let schema: Value = serde_json::from_slice(schema).map_err(|_| refused("is no JSON"))?;
    if schema.get("$schema").is_some_and(|dialect| dialect.as_str().map(trim) != Some(DIALECT)) {
        return Err(refused("is of another dialect than 2020-12"));
    }
    let mut size = Size::default();
    size.add(&schema);
    if size.objects > MAX_OBJECTS || size.patterns > MAX_PATTERNS {
        let why = format!(
            "has {} objects and {} patterns: a terminal takes up to {MAX_OBJECTS} and {MAX_PATTERNS}",
            size.objects, size.patterns
        );
        return Err(refused(&why));
    }
    if depth(document) > MAX_DEPTH {
        return Err(PackageRefusal::Invalid { why: format!("they are more than {MAX_DEPTH} levels deep") });
    }
    let (schema_name, document) = (name.to_string(), document.clone());
    let judged = within(longest, given_up, move || judge(schema_name, &schema, &document));
    judged.unwrap_or_else(|| Err(refused("takes too long to judge by: make it simpler")))
}

fn judge(name: String, schema: &Value, document: &Value) -> Result<(), PackageRefusal> {
    let patterns = PatternOptions::fancy_regex()
        .size_limit(MAX_PATTERN)
        .dfa_size_limit(MAX_PATTERN)
        .backtrack_limit(MAX_BACKTRACKS);
    let validator =
        jsonschema::draft202012::options().offline().with_pattern_options(patterns).build(schema).map_err(
            |error| PackageRefusal::Schema {
                name,
                why: short(&format!("cannot be used: {}", error.masked())),
            },
        )?;
    // The value stays out of the words: parameters may hold what is nobody's business.
    validator.validate(document).map_err(|error| {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "the document".into() } else { place };
        PackageRefusal::Invalid { why: short(&format!("{place}: {}", error.masked())) }
    })
}

/// What there is in a schema; names of members count as the keywords that they may be.
#[derive(Default)]
struct Size {
    objects: usize,
    patterns: usize,
}

impl Size {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                self.objects = self.objects.saturating_add(1);
                for (name, member) in members {
                    let patterns = match (name.as_str(), member) {
                        ("pattern", _) => 1,
                        ("patternProperties", Value::Object(patterns)) => patterns.len(),
                        _ => 0,
                    };
                    self.patterns = self.patterns.saturating_add(patterns);
                    self.add(member);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            _ => {}
        }
    }
}

/// Levels of arrays and objects. The reader of JSON bounds them, so this ends.
fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Object(members) => members.values().map(depth).max(),
        Value::Array(items) => items.iter().map(depth).max(),
        _ => return 0,
    };
    deepest.unwrap_or(0).saturating_add(1)
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

    /// A document of so many levels.
    fn deep(levels: usize) -> Value {
        (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }))
    }

    #[test]
    fn a_schema_that_doubles_its_work_at_each_step_is_given_up() {
        let again = json!({ "properties": { "a": { "$ref": "#" } } });
        let schema = serde_json::to_vec(&json!({ "allOf": [again, again] })).unwrap();
        let name = "menu.schema.json".parse().unwrap();
        let given_up = Box::leak(Box::default());
        // 2^24 steps: too many for so short a time, and few enough for the test to end.
        let refused = check_within(Duration::from_millis(50), given_up, &name, &schema, &deep(24));
        let PackageRefusal::Schema { why, .. } = refused.unwrap_err() else { panic!("another refusal") };
        assert!(why.contains("too long"), "{why}");
        assert_eq!(checked(&json!({ "allOf": [again, again] }), &deep(8)), Ok(()));
    }

    /// One that overflowed the stack would end the process, and so the terminal's updates for good.
    #[test]
    fn a_schema_as_deep_as_it_may_be_ends_at_a_document_as_deep_as_it_may_be() {
        let steps = MAX_OBJECTS - 10;
        let mut defs = serde_json::Map::new();
        for step in 0..steps {
            defs.insert(step.to_string(), json!({ "$ref": format!("#/$defs/{}", step + 1) }));
        }
        defs.insert(steps.to_string(), json!({ "properties": { "a": { "$ref": "#/$defs/0" } } }));
        let mut schema = json!({ "$ref": "#/$defs/0", "$defs": defs });
        assert_eq!(checked(&schema, &deep(MAX_DEPTH)), Ok(()));
        schema["$defs"]["more"] = json!([{}, {}, {}, {}, {}, {}, {}, {}, {}, {}]);
        assert!(matches!(checked(&schema, &json!({})), Err(PackageRefusal::Schema { .. })));
    }

    #[test]
    fn a_document_that_is_too_deep_is_refused() {
        assert_eq!(checked(&json!({}), &deep(MAX_DEPTH)), Ok(()));
        let refused = checked(&json!({}), &deep(MAX_DEPTH + 1));
        assert!(matches!(refused, Err(PackageRefusal::Invalid { .. })), "{refused:?}");
    }

    #[test]
    fn patterns_are_few_and_small_and_go_back_a_little() {
        let many = |count: usize| json!({ "allOf": vec![json!({ "pattern": "^a$" }); count] });
        assert_eq!(checked(&many(MAX_PATTERNS), &json!("a")), Ok(()));
        let names: serde_json::Map<_, _> =
            (0..=MAX_PATTERNS).map(|number| (number.to_string(), json!({}))).collect();
        for schema in [
            many(MAX_PATTERNS + 1),
            json!({ "patternProperties": names }),
            json!({ "pattern": "(?:[a-z]{1000}){1000}" }),
        ] {
            let refused = checked(&schema, &json!("a"));
            assert!(matches!(refused, Err(PackageRefusal::Schema { .. })), "{refused:?}");
        }
        let catastrophe = json!({ "pattern": "^(?=(a+)+$)(a+)+$" });
        let refused = checked(&catastrophe, &json!(format!("{}!", "a".repeat(5_000))));
        assert!(matches!(refused, Err(PackageRefusal::Invalid { .. })), "{refused:?}");
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
