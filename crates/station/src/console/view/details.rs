//! All about the selected line.

use ratatui::{
    Frame,
    layout::Rect,
    text::Line,
    widgets::{Paragraph, Wrap},
};

use super::{
    super::model::{Entry, EntryState, Focus, Model, Row, State},
    look::Look,
    section,
    words::{fit, grouped, place},
};

pub(super) fn draw(model: &Model, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let (title, lines) = match model.focus {
        Focus::Terminals => match model.terminals.selected() {
            None => ("Selected: nothing".to_owned(), Vec::new()),
            Some((_, row)) => (format!("Selected: {}", place(&row.address)), terminal(row)),
        },
        Focus::Queue => match model.queue.selected() {
            None => ("Selected: nothing".to_owned(), Vec::new()),
            Some((_, entry)) => (format!("Selected: package {}", entry.id), package(entry)),
        },
    };
    let area = section(look, frame, area, &title, false);
    let [first, rest @ ..] = lines.as_slice() else { return };
    let area = Rect { x: area.x.saturating_add(1), width: area.width.saturating_sub(1), ..area };
    // The first line is cut, so that what follows always has its place.
    let mut text = vec![Line::raw(fit(first, usize::from(area.width)))];
    text.extend(rest.iter().map(|line| Line::raw(line.as_str())));
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), area);
}

fn terminal(row: &Row) -> Vec<String> {
    let about = if row.about.is_empty() { "no description" } else { row.about.as_str() };
    let out = if row.plugged { "" } else { " (unplugged)" };
    let who = match (&row.sn, &row.pin_pad) {
        (None, _) => "serial not known yet".to_owned(),
        (Some(sn), None) => format!("terminal {sn}"),
        (Some(sn), Some(pin_pad)) => format!("terminal {sn}, PIN pad {pin_pad}"),
    };
    let mut lines = vec![format!("{about}{out}; {who}")];
    let print = row.fingerprint.as_deref().map(grouped).unwrap_or_default();
    match &row.state {
        State::Ready => lines.push("Ready. Space collects it.".to_owned()),
        State::Next => lines.push("Its turn comes.".to_owned()),
        State::Asking => lines.push("It is being asked. Leave its cable in.".to_owned()),
        State::Again(why) => {
            lines.push(format!("Its line failed, it is asked again: {why}"));
            lines.push("Leave its cable in, or plug it in again.".to_owned());
        }
        State::Collected | State::Packed => {
            lines.push(format!("Fingerprint {print}: its display must show the same."));
            lines.push(match row.state {
                State::Packed => "Packed and signed; it waits for the server.".to_owned(),
                _ => "It has answered; it is packed when the run is over.".to_owned(),
            });
        }
        State::Taken(said) => {
            lines.push(format!("Fingerprint {print}: its display must show the same."));
            lines.push(format!("TAKEN: {said}"));
        }
        State::Awaits(said) => {
            lines.push(format!("Fingerprint {print}: its display must show the same."));
            lines.push(format!("AWAITS a second person's approval at the KMS: {said}"));
        }
        State::Refused(why) => lines.push(format!("REFUSED by the KMS: {why}")),
        State::Alarm(why) => lines.push(format!("ALARM: {why}")),
        State::Failed { reason, advice } => {
            lines.push(format!("FAILED: {reason}"));
            lines.push(format!("What to do: {advice}."));
        }
    }
    lines
}

fn package(entry: &Entry) -> Vec<String> {
    let mut lines = vec![entry.serials.join(" ")];
    match &entry.state {
        EntryState::Waiting => lines.push("Kept here. It is sent as soon as the server answers.".to_owned()),
        EntryState::Sending => lines.push("It is being sent.".to_owned()),
        EntryState::ArrivedBefore => {
            lines.push("The server has it from before. Compare the fingerprints at the KMS.".to_owned());
        }
        EntryState::Refused(why) => {
            lines.push(format!("REFUSED: {why}"));
            lines.push("It is kept; u sends it again.".to_owned());
        }
        EntryState::Answered { taken, awaits, refused, .. } => {
            let more = if *awaits > 0 { format!(" {awaits} must be approved first.") } else { String::new() };
            lines.push(format!("The KMS took {taken} of {}.{more}", entry.serials.len()));
            lines.extend(refused.iter().map(|why| format!("REFUSED {why}")));
        }
    }
    lines
}
