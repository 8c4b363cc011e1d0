//! Times, lengths and cuts of text.

use ratatui::text::Span;
use time::OffsetDateTime;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The text in at most this many columns; where it is cut stands `…`. Characters that are two columns wide count so.
pub(super) fn fit(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if Span::raw(kept.as_str()).width() >= width {
            kept.pop();
            break;
        }
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// The same, cut at its beginning: of a path the end tells most.
pub(super) fn fit_end(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut from = text.char_indices().map(|(at, _)| at).skip(1);
    let kept = from.find_map(|at| {
        let rest = text.get(at..)?;
        (Span::raw(rest).width() < width).then_some(rest)
    });
    if width > 0 { format!("…{}", kept.unwrap_or_default()) } else { String::new() }
}

/// The same, filled up with blanks to exactly this width.
pub(super) fn column(text: &str, width: usize) -> String {
    let text = fit(text, width);
    let blanks = width.saturating_sub(Span::raw(text.as_str()).width());
    format!("{text}{}", " ".repeat(blanks))
}

/// Date and time, `2026-11-21 07:12:03`, UTC.
pub(super) fn stamp(at: i64) -> String {
    let Ok(at) = OffsetDateTime::from_unix_timestamp(at) else { return "?".to_owned() };
    let (day, time) = (at.date(), at.time());
    format!("{day} {:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

/// The day.
pub(super) fn day(at: i64) -> String {
    stamp(at).split(' ').next().unwrap_or_default().to_owned()
}

/// Hours and minutes.
pub(super) fn clock(at: i64) -> String {
    stamp(at).split(' ').nth(1).and_then(|time| time.get(..5)).unwrap_or("?").to_owned()
}

/// A length of time, roughly.
pub(super) fn lasting(seconds: i64) -> String {
    match seconds {
        i64::MIN..MINUTE => format!("{} s", seconds.max(0)),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => format!("{} h {} min", seconds / HOUR, seconds % HOUR / MINUTE),
        _ => many(usize::try_from(seconds / DAY).unwrap_or(0), "day"),
    }
}

/// A fingerprint in groups of four, as people compare it.
pub(super) fn grouped(fingerprint: &str) -> String {
    let mut text = String::new();
    for (place, c) in fingerprint.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push(' ');
        }
        text.push(c);
    }
    text
}

/// An address as it stands in a list: a serial line without its speed.
pub(super) fn place(address: &str) -> &str {
    let Some(line) = address.strip_prefix("serial:") else { return address };
    line.split('?').next().unwrap_or(line)
}

/// How many, with the word in its number.
pub(super) fn many(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_seen_and_never_too_wide() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdef", 5), "abcd…");
        assert_eq!(fit("abcdef", 1), "…");
        assert_eq!(fit("abcdef", 0), "");
        assert_eq!(fit("密码键盘", 5), "密码…");
        assert_eq!(fit_end("abcdef", 6), "abcdef");
        assert_eq!(fit_end("abcdef", 4), "…def");
        assert_eq!(fit_end("密码键盘", 5), "…键盘");
        assert_eq!((fit_end("abcdef", 1), fit_end("abcdef", 0)), ("…".to_owned(), String::new()));
        assert_eq!(column("密码键盘", 6), "密码… ");
        assert_eq!(column("ab", 4), "ab  ");
    }

    #[test]
    fn times_and_lengths() {
        assert_eq!(stamp(1_763_674_583), "2025-11-20 21:36:23");
        assert_eq!((day(1_763_674_583), clock(1_763_674_583)), ("2025-11-20".to_owned(), "21:36".to_owned()));
        assert_eq!(stamp(i64::MAX), "?");
        let lengths = [-1, 59, 60, 3599, 3600, 86_399, 86_400, 200_000].map(lasting);
        assert_eq!(
            lengths,
            ["0 s", "59 s", "1 min", "59 min", "1 h 0 min", "23 h 59 min", "1 day", "2 days"]
        );
        assert_eq!(place("serial:/dev/ttyUSB0?baud=9600"), "/dev/ttyUSB0");
        assert_eq!(place("till-7:7802"), "till-7:7802");
        assert_eq!(grouped("0123456789ABCDEF0123"), "0123 4567 89AB CDEF 0123");
    }
}
