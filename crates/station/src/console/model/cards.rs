//! Both cards, their PINs, and what happens when one goes.

use super::{
    super::{Effect, Face, Pin, Place, Seen, Tries},
    Model, Session, Stop, Wish,
    stop::CardGone,
};

/// What is known of one card.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct CardState {
    pub(in super::super) name: String,
    /// The card that is there, or the last one that was.
    pub(in super::super) face: Option<Face>,
    pub(in super::super) presence: Presence,
}

/// Whether a card is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) enum Presence {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    Missing,
    Present,
    PulledOut,
    Unreadable(String),
}

impl CardState {
    /// Why it cannot be used now, if it cannot.
    fn trouble(&self, place: Place) -> Option<String> {
        let word = place.word();
        let face = match &self.presence {
            Presence::Present => self.face.as_ref()?,
            Presence::Unreadable(why) => return Some(format!("The {word} card cannot be read: {why}")),
            Presence::Unknown | Presence::Missing | Presence::PulledOut => {
                return Some(format!("Insert the {word} card: both cards must be there."));
            }
        };
        match (&face.refused, face.tries) {
            (Some(why), _) => Some(format!("The {word} card is refused: {why}")),
            (None, Some(Tries::Locked)) => {
                Some(format!("The {word} card is LOCKED after wrong PINs: have the CA unlock or replace it."))
            }
            (None, Some(Tries::NotSet)) => {
                Some(format!("The {word} card has no PIN yet: set one with `keyferry card change-pin`."))
            }
            (None, _) => None,
        }
    }
}

impl Model {
    /// Somebody looked into a reader.
    pub(super) fn card(&mut self, place: Place, seen: Seen) -> Vec<Effect> {
        let Some(card) = self.cards.get_mut(place.index()) else { return Vec::new() };
        let before = card.face.as_ref().filter(|_| card.presence == Presence::Present).cloned();
        card.presence = match (&seen.card, seen.trouble) {
            (Some(_), _) => Presence::Present,
            (None, Some(why)) => Presence::Unreadable(why),
            (None, None) if matches!(card.presence, Presence::Present | Presence::PulledOut) => {
                Presence::PulledOut
            }
            (None, None) => Presence::Missing,
        };
        let gone = match (&before, &seen.card) {
            (Some(_), None) => Some(CardGone::PulledOut),
            (Some(before), Some(now)) if before.id != now.id => Some(CardGone::Another),
            (Some(before), Some(now)) if before.refused.is_none() => {
                now.refused.clone().map(CardGone::Refused)
            }
            _ => None,
        };
        // What was pulled out is still called what it was.
        if seen.card.is_some() || card.presence != Presence::PulledOut {
            card.name = seen.name;
        }
        if seen.card.is_some() {
            card.face = seen.card;
        }
        let asked = matches!(self.session, Session::Asking { place: asked, .. } if asked == place);
        let trouble = self.cards.get(place.index()).and_then(|card| card.trouble(place));
        match gone {
            None if asked => trouble.map_or_else(Vec::new, |trouble| self.close(trouble)),
            Some(why) if !matches!(self.session, Session::Shut) => self.stop(place, &why),
            Some(why) => {
                self.said = why.said(place);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn stop(&mut self, place: Place, why: &CardGone) -> Vec<Effect> {
        let run = self.run.map(|run| (run.answered(), run.total));
        self.session = Session::Shut;
        self.asks_to_quit = false;
        self.stops.push(Stop::card(place, why, run));
        vec![Effect::Close, Effect::Bell]
    }

    /// A person wants to collect: now, or once both PINs are given.
    pub(super) fn wish(&mut self, then: Wish) -> Vec<Effect> {
        if self.run.is_some() {
            self.said = "Collecting runs already; what was plugged in since is for the next run.".to_owned();
            return Vec::new();
        }
        let addresses = self.wanted(&then);
        // What was kept when a card went is packed under both cards again, also when nothing is plugged in.
        let packs = then == Wish::All && self.unpacked > 0;
        if addresses.is_empty() && !packs {
            self.said = match (&then, self.terminals.plugged()) {
                (_, 0) => "Nothing is plugged in.".to_owned(),
                (Wish::One(_), _) => "The selected terminal is no longer plugged in.".to_owned(),
                (Wish::All, _) => {
                    "All that is plugged in is collected. Select one and press Enter to collect it again."
                        .to_owned()
                }
            };
            return Vec::new();
        }
        match self.session {
            Session::Open => self.begin(addresses),
            Session::Shut => self.ask(Place::Operator, None, then),
            Session::Asking { .. } | Session::Trying { .. } => Vec::new(),
        }
    }

    fn wanted(&self, wish: &Wish) -> Vec<String> {
        match wish {
            Wish::All => self.terminals.uncollected(),
            Wish::One(address) => {
                let there = self.terminals.rows().iter().any(|row| row.plugged && row.address == *address);
                if there { vec![address.clone()] } else { Vec::new() }
            }
        }
    }

    fn begin(&mut self, addresses: Vec<String>) -> Vec<Effect> {
        self.said.clear();
        if addresses.is_empty() {
            return vec![Effect::Collect(addresses)];
        }
        self.terminals.begin(&addresses);
        self.run = Some(super::Run { total: addresses.len(), collected: 0, failed: 0, began: self.now });
        vec![Effect::Collect(addresses)]
    }

    /// Asks for a PIN, unless a card has a trouble that no PIN mends.
    fn ask(&mut self, place: Place, said: Option<String>, then: Wish) -> Vec<Effect> {
        let trouble = Place::BOTH.into_iter().zip(&self.cards).find_map(|(place, card)| card.trouble(place));
        if let Some(trouble) = trouble {
            return self.close(trouble);
        }
        self.session = Session::Asking { place, pin: Pin::new(), said, then };
        Vec::new()
    }

    /// The PIN that was typed goes to its card.
    pub(super) fn enter_pin(&mut self) -> Vec<Effect> {
        let own_pin_pad = |place: Place| {
            let face = self.cards.get(place.index()).and_then(|card| card.face.as_ref());
            face.is_some_and(|face| face.own_pin_pad)
        };
        match std::mem::replace(&mut self.session, Session::Shut) {
            Session::Asking { place, pin, then, .. } if pin.len() > 0 || own_pin_pad(place) => {
                self.session = Session::Trying { place, then };
                vec![Effect::Open(place, pin)]
            }
            other => {
                self.session = other;
                Vec::new()
            }
        }
    }

    /// A card answered to its PIN.
    pub(super) fn opened(&mut self, place: Place, result: Result<(), String>) -> Vec<Effect> {
        let then = match std::mem::replace(&mut self.session, Session::Shut) {
            Session::Trying { place: tried, then } if tried == place => then,
            // It was closed, or stopped, while the card was busy.
            other => {
                self.session = other;
                return Vec::new();
            }
        };
        match (result, place) {
            (Err(why), _) => self.ask(place, Some(why), then),
            (Ok(()), Place::Operator) => self.ask(Place::Administrator, None, then),
            (Ok(()), Place::Administrator) => {
                self.session = Session::Open;
                self.said = "Both cards are open.".to_owned();
                self.wish(then)
            }
        }
    }
}
