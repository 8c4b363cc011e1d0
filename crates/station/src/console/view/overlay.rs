//! What stands over the rest: a stop, a question, a PIN.

use ratatui::{
    Frame,
    layout::{Alignment, Rect},
    style::Style,
    text::Line,
    widgets::{Block, BorderType, Borders, Clear, Paragraph, Wrap},
};

use super::{
    super::{
        event::Place,
        model::{Model, Session},
    },
    cards,
    look::Look,
    words::fit,
};

/// Width and height of a box, borders included.
const STOP: (u16, u16) = (68, 12);
const QUESTION: (u16, u16) = (64, 8);

pub(super) fn draw(model: &Model, look: Look, frame: &mut Frame<'_>, area: Rect) {
    if let Some(stop) = model.stops.first() {
        let title = format!(" {0} {0} {0} ", stop.word);
        let further = match model.stops.len() {
            0 | 1 => String::new(),
            count => format!("   ({} more)", count - 1),
        };
        let lines = vec![
            Line::raw(""),
            Line::raw(stop.what.clone()).alignment(Alignment::Center),
            Line::raw(""),
            Line::raw(stop.then.clone()),
            Line::raw(""),
            Line::raw(format!("Enter: I have seen this{further}")),
        ];
        boxed(frame, centred(area, STOP), &title, lines, look.stop(), BorderType::Double);
    } else if model.asks_to_quit {
        let run = model.run.map(|run| {
            format!("Collecting runs: {} of {} terminals have answered.", run.answered(), run.total)
        });
        let lines = vec![
            Line::raw(run.unwrap_or_else(|| "A package is being sent.".to_owned())),
            Line::raw("What has answered is kept, and sent when the console is started again."),
            Line::raw(""),
            Line::raw("Quit all the same?   y: quit   n: go on"),
        ];
        boxed(frame, centred(area, QUESTION), " Quit? ", lines, look.plain(), BorderType::Plain);
    } else {
        draw_pin(model, look, frame, area);
    }
}

fn draw_pin(model: &Model, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let (place, typed, said) = match &model.session {
        Session::Asking { place, pin, said, .. } => (*place, Some(pin.len()), said.clone()),
        Session::Trying { place, .. } => (*place, None, None),
        Session::Shut | Session::Open => return,
    };
    let rect = centred(area, QUESTION);
    let width = usize::from(rect.width).saturating_sub(2);
    let card = model.cards.get(place.index());
    let whose = card.and_then(|card| card.face.as_ref()).map(|face| face.subject.clone());
    let own_pin_pad = card.and_then(|card| card.face.as_ref()).is_some_and(|face| face.own_pin_pad);
    let stars = match typed {
        None if own_pin_pad => "type it at the reader now".to_owned(),
        None => "the card looks at it …".to_owned(),
        Some(0) if own_pin_pad => "press Enter, then type it at the reader".to_owned(),
        // A long PIN keeps its cursor in sight.
        Some(count) => format!("{}_", "*".repeat(count.min(width.saturating_sub(8)))),
    };
    let state = card.map_or("", |card| cards::pin(model, place, card));
    let hint = match (said, state) {
        (Some(said), _) => said,
        (None, "PIN wanted") => "Only the person whose card it is types its PIN.".to_owned(),
        (None, state) => state.to_owned(),
    };
    let lines = vec![
        Line::raw(fit(&whose.unwrap_or_default(), width)),
        Line::styled(format!("PIN: {stars}"), look.strong()),
        Line::raw(hint),
        Line::raw("Enter: go on   Esc: leave"),
    ];
    let title = match place {
        Place::Operator => " 1 of 2: the operator card's PIN ",
        Place::Administrator => " 2 of 2: the administrator card's PIN ",
    };
    boxed(frame, rect, title, lines, look.plain(), BorderType::Plain);
}

fn boxed(
    frame: &mut Frame<'_>,
    rect: Rect,
    title: &str,
    lines: Vec<Line<'_>>,
    style: Style,
    border: BorderType,
) {
    let block = Block::new().borders(Borders::ALL).border_type(border).title(title.to_owned()).style(style);
    let text = Paragraph::new(lines).wrap(Wrap { trim: false }).style(style).block(block);
    frame.render_widget(Clear, rect);
    frame.render_widget(text, rect);
}

fn centred(area: Rect, (width, height): (u16, u16)) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}
