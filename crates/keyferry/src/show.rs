//! Tables as text.

/// Prints rows under a head, each column as wide as its widest cell. What terminals and vendors call their things is in
/// cells: see [`plain`].
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) {
    let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let rows = rows.as_slice();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let text: Vec<_> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say!("  {}", text.join("  ").trim_end());
    };
    line(&mut head.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
}

/// A text of somebody else's, with its control characters spelt out: what a terminal says must not move a person's cursor
/// or start a line that looks like ours.
pub(crate) fn plain(text: &str) -> String {
    let spell = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn control_characters_of_others_are_spelt_out() {
        assert_eq!(plain("Zahl \u{1b}[31m\nrot\u{9b}2J"), "Zahl \\u{1b}[31m\\nrot\\u{9b}2J");
        assert_eq!(plain("Größe 12,50 €"), "Größe 12,50 €");
    }
}
