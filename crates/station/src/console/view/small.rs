//! A window that is too small: what must not be overlooked all the same.

use ratatui::{
    Frame,
    layout::Rect,
    text::Line,
    widgets::{Paragraph, Wrap},
};

use super::{
    super::{
        event::Place,
        model::{Model, Presence, Session},
    },
    SMALLEST,
    look::Look,
};

pub(super) fn draw(model: &Model, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let mut lines = Vec::new();
    if let Some(stop) = model.stops.first() {
        lines.push(Line::styled(format!("{}: {}", stop.word, stop.what), look.stop()));
        lines.push(Line::raw("Enter: seen"));
    } else if model.asks_to_quit {
        lines.push(Line::styled("Quit? Work runs. y/n", look.strong()));
    } else if let Session::Asking { place, pin, .. } = &model.session {
        lines.push(Line::raw(format!("{} card's PIN: {}_", place.word(), "*".repeat(pin.len()))));
    }
    for (place, card) in Place::BOTH.into_iter().zip(&model.cards) {
        let state = match card.presence {
            Presence::Present => "present",
            Presence::PulledOut => "PULLED OUT",
            Presence::Unreadable(_) => "UNREADABLE",
            Presence::Missing => "MISSING",
            Presence::Unknown => "looking",
        };
        lines.push(Line::raw(format!("{} card {state}", place.word())));
    }
    if let Some(run) = model.run {
        lines.push(Line::raw(format!(
            "collecting: {} of {}, {} failed",
            run.answered(),
            run.total,
            run.failed
        )));
    }
    let (width, height) = SMALLEST;
    lines.push(Line::raw(format!(
        "This window is {}x{}: make it {width}x{height} or larger.",
        area.width, area.height
    )));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
}
