//! What waits for the server, and whether the server is there.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    super::{
        event::ServerSeen,
        model::{Entry, EntryState, Focus, Model},
    },
    look::Look,
    section, window,
    words::{clock, column, fit, lasting, many},
};

pub(super) fn draw(model: &Model, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let queue = &model.queue;
    let waiting = queue.count(|state| *state == EntryState::Waiting);
    let sending = queue.count(|state| *state == EntryState::Sending);
    let refused = queue.count(|state| matches!(state, EntryState::Refused(_)));
    let answered = queue.entries().len() - waiting - sending - refused;
    let unpacked = match model.unpacked {
        0 => String::new(),
        count => format!(", {} NOT PACKED", many(count, "terminal")),
    };
    let title = format!(
        "Packages: {waiting} waiting, {sending} sending, {answered} answered, {refused} refused{unpacked}"
    );
    let focused = model.focus == Focus::Queue;
    let area = section(look, frame, area, &title, focused);
    let width = usize::from(area.width);
    let (text, style) = server(model, look);
    let mut lines = vec![Line::styled(fit(&format!(" {text}"), width), style)];
    let height = usize::from(area.height).saturating_sub(1);
    let entries = queue.entries();
    match queue.selected() {
        None => lines.push(Line::raw(" No package yet.")),
        Some((selected, _)) => {
            // Without the focus the newest stand here.
            let selected = if focused { selected } else { entries.len() - 1 };
            lines.extend(
                window(entries.len(), selected, height)
                    .filter_map(|at| Some((at, entries.get(at)?)))
                    .map(|(at, entry)| line(entry, look, width, focused && at == selected)),
            );
        }
    }
    frame.render_widget(Paragraph::new(lines), area);
}

pub(super) fn server(model: &Model, look: Look) -> (String, Style) {
    let url = &model.server_url;
    match &model.server {
        None => (format!("Server: asking {url}"), look.busy()),
        Some(ServerSeen::Reached) => (format!("Server reachable: {url}"), look.good()),
        Some(ServerSeen::Away { why, again }) => {
            let since = model.away_since.map(clock).unwrap_or_default();
            let next = lasting(again.saturating_sub(model.now));
            (format!("Server NOT REACHABLE since {since}, next try in {next}: {why} ({url})"), look.bad())
        }
    }
}

fn line(entry: &Entry, look: Look, width: usize, selected: bool) -> Line<'static> {
    let mark = if selected { ">" } else { " " };
    let (word, rest, style) = match &entry.state {
        EntryState::Waiting => ("WAITING", "kept here until the server answers".to_owned(), look.busy()),
        EntryState::Sending => ("sending", String::new(), look.busy()),
        EntryState::Answered { taken, awaits, refused, alarms } => {
            let count = |count: usize, word: &str| {
                if count > 0 { format!(", {count} {word}") } else { String::new() }
            };
            let bad = *alarms > 0 || !refused.is_empty();
            let why = refused.first().map(|why| format!(" ({why})")).unwrap_or_default();
            let text = format!(
                "{taken} TAKEN{}{}{}{why}",
                count(*awaits, "AWAITS APPROVAL"),
                count(refused.len(), "REFUSED"),
                count(*alarms, "ALARM")
            );
            ("answered", text, if bad { look.bad() } else { look.good() })
        }
        EntryState::ArrivedBefore => {
            ("answered", "it had arrived before; compare at the KMS".to_owned(), look.good())
        }
        EntryState::Refused(why) => ("REFUSED", why.clone(), look.bad()),
    };
    let first =
        format!("{mark} {}  {}  ", clock(entry.at), column(&many(entry.serials.len(), "terminal"), 13));
    let used = first.len() + 10;
    let mut line = Line::from(vec![
        Span::raw(first),
        Span::styled(column(word, 10), style),
        Span::raw(fit(&rest, width.saturating_sub(used))),
    ]);
    if selected {
        line = line.style(look.reversed());
    }
    line
}
