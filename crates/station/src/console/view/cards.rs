//! Both cards, and the list that says which cards are revoked.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    super::{
        event::{Place, Tries},
        model::{CardState, Model, Presence, Session},
    },
    look::Look,
    section,
    words::{column, day, fit, fit_end, lasting},
};

/// Lines below the rule.
pub(super) const LINES: u16 = 5;

const ROLE: usize = 15;
const STATE: usize = 13;
/// Room for a reader's name, with the blanks before it.
const NAME: usize = 40;

pub(super) fn draw(model: &Model, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let open = matches!(model.session, Session::Open);
    let title = if open { "Cards: both open" } else { "Cards: both are needed" };
    let area = section(look, frame, area, title, false);
    let width = usize::from(area.width);
    let mut lines = Vec::new();
    for (place, card) in Place::BOTH.into_iter().zip(&model.cards) {
        lines.extend(card_lines(model, look, place, card, width));
    }
    let (text, style) = list(model, look);
    lines.push(Line::styled(fit(&format!(" {text}"), width), style));
    frame.render_widget(Paragraph::new(lines), area);
}

fn card_lines(model: &Model, look: Look, place: Place, card: &CardState, width: usize) -> [Line<'static>; 2] {
    let (state, style) = state(card, look);
    let face = card.face.as_ref();
    let there = matches!(card.presence, Presence::Present | Presence::PulledOut);
    let subject = match (&card.presence, face) {
        (Presence::Unreadable(why), _) => why.clone(),
        (_, Some(face)) if there => face.subject.clone(),
        _ => "no card".to_owned(),
    };
    let first = Line::from(vec![
        Span::styled(column(&format!(" {}", place.word().to_uppercase()), ROLE), look.strong()),
        Span::styled(column(state, STATE), style),
        Span::raw(fit(&subject, width.saturating_sub(ROLE + STATE))),
    ]);
    let end = match face.filter(|_| there) {
        None => String::new(),
        Some(face) => {
            let role = if face.refused.is_some() || face.role != place.word() {
                format!("role {}, ", face.role)
            } else {
                String::new()
            };
            let valid = if face.until < model.now { "EXPIRED" } else { "valid until" };
            format!("{role}{valid} {}", day(face.until))
        }
    };
    let pin = pin(model, place, card);
    let room = width.saturating_sub(end.len() + pin.len() + 4).min(NAME);
    let name = column(&format!("   {}", fit_end(&card.name, room.saturating_sub(3))), room);
    let refused = face.filter(|_| there).and_then(|face| face.refused.clone());
    let second = match refused {
        Some(why) => Line::styled(fit(&format!("   REFUSED: {why}"), width), look.bad()),
        None => Line::raw(fit(&format!("{name}  {end}  {pin}"), width)),
    };
    [first, second]
}

fn state(card: &CardState, look: Look) -> (&'static str, Style) {
    let refused = card.face.as_ref().is_some_and(|face| face.refused.is_some());
    match card.presence {
        Presence::Unknown => ("looking", look.busy()),
        Presence::Missing => ("MISSING", look.bad()),
        Presence::Present if refused => ("REFUSED", look.bad()),
        Presence::Present => ("present", look.good()),
        Presence::PulledOut => ("PULLED OUT", look.bad()),
        Presence::Unreadable(_) => ("UNREADABLE", look.bad()),
    }
}

/// What is known of its PIN.
pub(super) fn pin(model: &Model, place: Place, card: &CardState) -> &'static str {
    if !matches!(card.presence, Presence::Present) {
        return "";
    }
    let first = place == Place::Operator;
    let open = match &model.session {
        Session::Open => true,
        Session::Asking { place: now, .. } | Session::Trying { place: now, .. } => {
            first && *now == Place::Administrator
        }
        Session::Shut => false,
    };
    match card.face.as_ref().and_then(|face| face.tries) {
        _ if open => "PIN given",
        Some(Tries::Few) => "PIN: was wrong, few tries left",
        Some(Tries::Last) => "PIN: LAST TRY",
        Some(Tries::Locked) => "PIN: LOCKED",
        Some(Tries::NotSet) => "PIN: not set",
        Some(Tries::All) | None => "PIN wanted",
    }
}

fn list(model: &Model, look: Look) -> (String, Style) {
    let Some(list) = &model.list else { return ("Revocation list: looking".to_owned(), look.busy()) };
    let age = list.fetched.map(|fetched| model.now.saturating_sub(fetched));
    match (age, &list.trouble) {
        (_, Some(why)) => (format!("Revocation list: NOT USABLE: {why}"), look.bad()),
        (None, None) => ("Revocation list: none yet".to_owned(), look.bad()),
        (Some(age), None) if age > list.max_age => {
            (format!("Revocation list: TOO OLD, fetched {} ago", lasting(age)), look.bad())
        }
        (Some(age), None) => {
            let left = lasting(list.max_age.saturating_sub(age));
            (format!("Revocation list: {} old, good for {left} more", lasting(age)), look.plain())
        }
    }
}
