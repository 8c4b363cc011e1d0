//! What is plugged in.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    super::model::{Focus, Model, Row, State},
    look::Look,
    section, window,
    words::{column, fit, grouped, lasting, many, place},
};

const SERIAL: usize = 15;
const STATE: usize = 12;
/// From this width on there is a column for what the system knows of the port.
const WIDE: usize = 110;

pub(super) fn draw(model: &Model, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let area = section(look, frame, area, &title(model), model.focus == Focus::Terminals);
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let rows = model.terminals.rows();
    let Some((selected, _)) = model.terminals.selected() else {
        let text = " Nothing is plugged in. Plug a terminal in, and open its collecting menu.";
        frame.render_widget(Line::raw(fit(text, width)), area);
        return;
    };
    let shown = window(rows.len(), selected, height);
    let lines: Vec<_> = shown
        .filter_map(|at| Some((at, rows.get(at)?)))
        .map(|(at, row)| line(row, look, width, at == selected && model.focus == Focus::Terminals))
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn title(model: &Model) -> String {
    let plugged = many(model.terminals.plugged(), "terminal");
    match model.run {
        None => format!("Plugged in: {plugged}"),
        Some(run) => {
            let (done, total) = (run.answered(), run.total.max(1));
            let filled = (BAR * done / total).min(BAR);
            let bar = format!("{}{}", "#".repeat(filled), ".".repeat(BAR - filled));
            let failed = if run.failed > 0 { format!(", {} FAILED", run.failed) } else { String::new() };
            let time = lasting(model.now.saturating_sub(run.began));
            format!("COLLECTING [{bar}] {done} of {} answered{failed}, {time}", run.total)
        }
    }
}

/// Width of the progress bar.
const BAR: usize = 20;

fn line(row: &Row, look: Look, width: usize, selected: bool) -> Line<'static> {
    let mark = if selected { ">" } else { " " };
    let out = if row.plugged { "" } else { "(out) " };
    let address = format!("{out}{}", place(&row.address));
    let port = if width >= WIDE { 24 } else { 21 };
    let sn = row.sn.as_deref().unwrap_or("-");
    let about = if width >= WIDE { column(&row.about, 26) } else { String::new() };
    let used = 2 + port + SERIAL + STATE + about.len();
    let style = style(&row.state, look);
    let mut line = Line::from(vec![
        Span::raw(format!("{mark} {} ", column(&address, port - 1))),
        Span::raw(about),
        Span::raw(format!("{} ", column(sn, SERIAL - 1))),
        Span::styled(format!("{} ", column(row.state.word(), STATE - 1)), style),
        Span::raw(fit(&last(row, width >= WIDE), width.saturating_sub(used))),
    ]);
    if selected {
        line = line.style(look.reversed());
    }
    line
}

/// What stands in the last column: what matters most about this terminal.
fn last(row: &Row, wide: bool) -> String {
    match (&row.state, &row.fingerprint) {
        (State::Failed { reason, .. }, _) => reason.clone(),
        (State::Again(why) | State::Refused(why) | State::Alarm(why), _) => why.clone(),
        (_, Some(fingerprint)) => grouped(fingerprint),
        (_, None) if wide => String::new(),
        (_, None) => row.about.clone(),
    }
}

fn style(state: &State, look: Look) -> Style {
    match state {
        State::Ready | State::Next => look.plain(),
        State::Asking | State::Again(_) | State::Awaits(_) => look.busy(),
        State::Collected | State::Packed | State::Taken(_) => look.good(),
        State::Refused(_) | State::Alarm(_) | State::Failed { .. } => look.bad(),
    }
}
