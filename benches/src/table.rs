//! Lines of what came out, as a table or as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::measure::Rate;

/// One line: something beside the most that it could be.
pub(crate) struct Line {
    /// For machines; unique.
    pub(crate) name: String,
    pub(crate) what: String,
    pub(crate) rate: Rate,
    pub(crate) against: String,
    pub(crate) limit: Rate,
    /// Only where there is one: the other lines help to understand these.
    pub(crate) aim: Aim,
    pub(crate) unit: Unit,
}

/// What is to be reached.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    None,
    /// A ratio.
    Ratio(f64),
    /// So many a second.
    Rate(f64),
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Acts.
    Acts,
    /// Bytes; shown as MB.
    Bytes,
}

/// What one part of the benchmarks brought.
pub(crate) struct Part {
    pub(crate) title: &'static str,
    pub(crate) lines: Vec<Line>,
    /// What helps to read the lines.
    pub(crate) notes: Vec<String>,
    /// The same and more for machines: an object whose members go to the document.
    pub(crate) details: Value,
}

impl Line {
    pub(crate) fn new(
        name: impl Into<String>,
        (what, rate): (impl Into<String>, Rate),
        (against, limit): (impl Into<String>, Rate),
        aim: Aim,
    ) -> Line {
        let (name, what, against) = (name.into(), what.into(), against.into());
        Line { name, what, rate, against, limit, aim, unit: Unit::Acts }
    }

    /// The same of bytes.
    pub(crate) fn bytes(self) -> Line {
        Line { unit: Unit::Bytes, ..self }
    }

    fn ratio(&self) -> f64 {
        let limit = self.limit.per_second();
        if limit > 0.0 { self.rate.per_second() / limit } else { 0.0 }
    }

    fn aim(&self) -> String {
        match self.aim {
            Aim::None => "-".into(),
            Aim::Ratio(aim) => aim.to_string(),
            Aim::Rate(aim) if self.rate.per_second() >= aim => format!("{aim:.0} a second: met"),
            Aim::Rate(aim) => format!("{aim:.0} a second: NOT met"),
        }
    }

    fn json(&self) -> Value {
        let aim = match self.aim {
            Aim::None => Value::Null,
            Aim::Ratio(aim) | Aim::Rate(aim) => json!(aim),
        };
        json!({
            "name": self.name,
            "what": self.what,
            "per_second": self.rate.per_second(),
            "against": self.against,
            "against_per_second": self.limit.per_second(),
            "ratio": self.ratio(),
            "aim": aim,
            "aim_is": match self.aim {
                Aim::None => Value::Null,
                Aim::Ratio(_) => json!("ratio"),
                Aim::Rate(_) => json!("rate"),
            },
            "unit": if self.unit == Unit::Bytes { "bytes" } else { "acts" },
        })
    }
}

impl Unit {
    fn show(self, rate: Rate) -> String {
        let rate = rate.per_second();
        match self {
            Self::Acts => format!("{rate:.0}"),
            Self::Bytes => format!("{:.2} MB", rate / 1e6),
        }
    }
}

/// All parts, for people.
pub(crate) fn table(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "\n{:<40} {:>9}   {:<46} {:>9}   {:>5}  aim",
            part.title, "a second", "beside", "a second", "ratio"
        );
        for line in &part.lines {
            let _ = writeln!(
                text,
                "{:<40} {:>9}   {:<46} {:>9}   {:>5.2}  {}",
                line.what,
                line.unit.show(line.rate),
                line.against,
                line.unit.show(line.limit),
                line.ratio(),
                line.aim(),
            );
        }
        text.push('\n');
        for note in &part.notes {
            let _ = writeln!(text, "{note}");
        }
    }
    text
}

/// All parts, for machines.
pub(crate) fn json(parts: &[Part]) -> Value {
    let mut document = serde_json::Map::new();
    let lines: Vec<_> = parts.iter().flat_map(|part| part.lines.iter().map(Line::json)).collect();
    document.insert("lines".into(), json!(lines));
    for part in parts {
        if let Value::Object(details) = &part.details {
            document.extend(details.clone());
        }
    }
    Value::Object(document)
}
