//! The screen, drawn from the [`Model`] alone.

mod cards;
mod details;
mod look;
mod overlay;
mod queue;
mod small;
mod terminals;
mod words;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::model::{Focus, Model};
use look::Look;
use words::{fit, stamp};

/// The smallest window that everything fits into, columns and lines. In a smaller one stand the cards' state and what
/// must not be overlooked.
pub const SMALLEST: (u16, u16) = (72, 20);

/// Lines of details and of packages in a window of 24 lines, and how far they grow in a larger one.
const DETAILS: (u16, u16) = (4, 5);
const PACKAGES: (u16, u16) = (2, 8);
/// The height at which lists begin to grow.
const COMMON_HEIGHT: u16 = 24;

/// Draws the console.
pub fn view(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    let look = Look { colour: model.colour };
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        small::draw(model, look, frame, area);
        return;
    }
    let more = area.height.saturating_sub(COMMON_HEIGHT);
    let details = (DETAILS.0 + more / 4).min(DETAILS.1);
    let packages = (PACKAGES.0 + more / 3).min(PACKAGES.1);
    let [title, cards, terminals, detail, queue, said, help] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1 + cards::LINES),
        Constraint::Min(2),
        Constraint::Length(1 + details),
        Constraint::Length(1 + packages),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_title(model, look, frame, title);
    cards::draw(model, look, frame, cards);
    terminals::draw(model, look, frame, terminals);
    details::draw(model, look, frame, detail);
    queue::draw(model, look, frame, queue);
    frame.render_widget(Line::styled(fit(&model.said, usize::from(said.width)), look.strong()), said);
    frame.render_widget(Line::styled(fit(keys(model), usize::from(help.width)), look.reversed()), help);
    overlay::draw(model, look, frame, area);
}

fn draw_title(model: &Model, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let right = format!("{} UTC", stamp(model.now));
    let width = usize::from(area.width).saturating_sub(right.len() + 1);
    let left = fit(&format!("Keyferry station  {}", model.station), width);
    let gap = usize::from(area.width).saturating_sub(Span::raw(left.as_str()).width() + right.len());
    let text = format!("{left}{}{right}", " ".repeat(gap));
    frame.render_widget(Line::styled(text, look.reversed()), area);
}

/// The keys that work now.
fn keys(model: &Model) -> &'static str {
    match model.focus {
        Focus::Terminals => "Space collect all  Enter one  Up Down Tab  u upload  l lock  q quit",
        Focus::Queue => "Space collect all  Up Down Tab  u upload  l lock  q quit",
    }
}

/// A section's rule with its title, and the area below it.
fn section(look: Look, frame: &mut Frame<'_>, area: Rect, title: &str, focused: bool) -> Rect {
    let width = usize::from(area.width);
    let mark = if focused { "═" } else { "─" };
    let text = fit(&format!("{mark}{mark} {title} "), width);
    let rest = mark.repeat(width.saturating_sub(Span::raw(text.as_str()).width()));
    let rule = Rect { height: 1, ..area };
    frame.render_widget(Paragraph::new(Line::styled(format!("{text}{rest}"), look.strong())), rule);
    Rect { y: area.y.saturating_add(1), height: area.height.saturating_sub(1), ..area }
}

/// Which lines of a list fit, so that the selected one is among them.
fn window(total: usize, selected: usize, height: usize) -> std::ops::Range<usize> {
    let first = selected.saturating_sub(height.saturating_sub(1)).min(total.saturating_sub(height));
    first..(first + height).min(total)
}

#[cfg(test)]
mod tests {
    use super::window;

    #[test]
    fn the_selected_line_is_always_among_those_that_fit() {
        for total in 0..12 {
            for selected in 0..total {
                for height in 1..8 {
                    let shown = window(total, selected, height);
                    assert!(shown.contains(&selected), "{selected} of {total} in {height}: {shown:?}");
                    assert!(shown.len() <= height && shown.end <= total);
                }
            }
        }
        assert_eq!(window(3, 0, 0), 0..0);
    }
}
