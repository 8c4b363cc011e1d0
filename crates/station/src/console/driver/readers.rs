//! Both readers, looked into each second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread,
    time::Duration,
};

use custody::token::PinState;
use pki::{Certificate, Role, Signer};

use super::{
    super::{Event, Face, Place, Seen, Tries},
    Note,
    shared::{Shared, spawn, tell},
};
use crate::{Card, CardSource, Error, clock};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

impl Place {
    pub(super) fn role(self) -> Role {
        match self {
            Place::Operator => Role::Operator,
            Place::Administrator => Role::Administrator,
        }
    }
}

impl Shared {
    pub(super) fn reader(&self, place: Place) -> &CardSource {
        match place {
            Place::Operator => &self.setup.operator,
            Place::Administrator => &self.setup.administrator,
        }
    }
}

pub(super) fn start(shared: &Arc<Shared>, notes: &Sender<Note>) -> Result<(), Error> {
    let (shared, to) = (Arc::clone(shared), notes.clone());
    spawn("cards", notes, move || {
        let (mut cards, mut last) = ([None, None], [None, None]);
        while !shared.ends() {
            for ((place, card), last) in Place::BOTH.into_iter().zip(&mut cards).zip(&mut last) {
                let seen = look(&shared, place, card);
                if last.as_ref() != Some(&seen) {
                    // Work stops before anybody is told: a person may put the card back before the next terminal.
                    if was_good(last.as_ref()) && changed(last.as_ref(), &seen) {
                        shared.let_go();
                    }
                    tell(&to, Event::Card(place, seen.clone()));
                    *last = Some(seen);
                }
            }
            thread::sleep(PAUSE);
        }
    })
    .map(drop)
}

fn was_good(last: Option<&Seen>) -> bool {
    last.and_then(|seen| seen.card.as_ref()).is_some_and(|face| face.refused.is_none())
}

/// Whether it is another card now, or none, or one that is no longer good.
fn changed(last: Option<&Seen>, now: &Seen) -> bool {
    let id = |seen: &Seen| seen.card.as_ref().map(|face| face.id.clone());
    last.and_then(id) != id(now) || !was_good(Some(now))
}

/// Looks into one reader. A card that is still there is not read again: it may be slow, and busy signing.
fn look(shared: &Shared, place: Place, known: &mut Option<Box<dyn Card>>) -> Seen {
    let reader = shared.reader(place);
    let name = match reader {
        CardSource::File(path) => path.display().to_string(),
        CardSource::Token(uri) => format!("token {}", uri.label()),
    };
    if shared.was_out(place) {
        // It is there again, perhaps; but it is not open any more.
        *known = None;
        return Seen { name, card: None, trouble: None };
    }
    let card = match known.take().filter(|card| card.present()) {
        Some(card) => Ok(card),
        None => reader.insert(),
    };
    match card {
        Ok(card) => {
            let seen = face(shared, place, card.as_ref());
            let name = card.name().to_owned();
            *known = Some(card);
            Seen { name, card: Some(seen), trouble: None }
        }
        Err(Error::CardMissing { .. }) => Seen { name, card: None, trouble: None },
        Err(error) => Seen { name, card: None, trouble: Some(error.to_string()) },
    }
}

/// What it shows, and whether it is good by the lists of this moment.
fn face(shared: &Shared, place: Place, card: &dyn Card) -> Face {
    let certificate = card.certificate();
    let checked = shared.checks().verify(certificate, card.chain(), place.role(), clock::now());
    Face {
        id: certificate.sha256_hex(),
        subject: certificate.subject().to_string(),
        role: certificate.role().map_or_else(|| "none".to_owned(), |role| role.to_string()),
        until: certificate.not_after(),
        tries: card.pin_state().map(tries),
        own_pin_pad: card.asks_pin_itself(),
        refused: checked.err().map(|refusal| refusal.to_string()),
    }
}

fn tries(state: PinState) -> Tries {
    match state {
        PinState::Untried => Tries::All,
        PinState::FewLeft => Tries::Few,
        PinState::LastTry => Tries::Last,
        PinState::Locked => Tries::Locked,
        PinState::NotSet => Tries::NotSet,
    }
}

/// A card that, once it was seen to be gone, stays gone: pulled out and put back it is not the card that was opened.
pub(super) struct Held {
    card: Arc<dyn Card>,
    gone: Arc<AtomicBool>,
}

impl Held {
    pub(super) fn new(card: Arc<dyn Card>, gone: Arc<AtomicBool>) -> Held {
        Held { card, gone }
    }
}

impl Card for Held {
    fn name(&self) -> &str {
        self.card.name()
    }

    fn certificate(&self) -> &Certificate {
        self.card.certificate()
    }

    fn chain(&self) -> &[Certificate] {
        self.card.chain()
    }

    fn present(&self) -> bool {
        if !self.card.present() {
            self.gone.store(true, Ordering::SeqCst);
        }
        !self.gone.load(Ordering::SeqCst)
    }

    fn pin_state(&self) -> Option<PinState> {
        self.card.pin_state()
    }

    fn asks_pin_itself(&self) -> bool {
        self.card.asks_pin_itself()
    }

    fn open(&self, pin: &str) -> Result<Box<dyn Signer + Send + Sync>, Error> {
        self.card.open(pin)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use custody::keyfile::{KeyKind, generate};
    use pki::{
        Name,
        issue::{self, Validity},
    };

    use super::*;
    use crate::{CollectSettings, Journal, RevocationFile, ServerSettings, console::Setup, ports::Links};

    /// A card that is there while it is said to be.
    struct Slot(Certificate, Arc<AtomicBool>);

    impl Card for Slot {
        fn name(&self) -> &str {
            "slot"
        }
        fn certificate(&self) -> &Certificate {
            &self.0
        }
        fn chain(&self) -> &[Certificate] {
            &[]
        }
        fn present(&self) -> bool {
            self.1.load(Ordering::SeqCst)
        }
        fn open(&self, _: &str) -> Result<Box<dyn Signer + Send + Sync>, Error> {
            Err(Error::CardKey { card: "slot".to_owned() })
        }
    }

    fn slot() -> (Slot, Arc<AtomicBool>) {
        let (signer, _) = generate(KeyKind::P256, "long-enough-pin").unwrap();
        let validity = Validity { not_before: 0, not_after: 1 };
        let certificate = issue::root(&Name::new("Somebody", None).unwrap(), &signer, validity, 0).unwrap();
        let there = Arc::new(AtomicBool::new(true));
        (Slot(certificate, Arc::clone(&there)), there)
    }

    fn held() -> (Held, Arc<AtomicBool>, Arc<AtomicBool>) {
        let ((slot, there), gone) = (slot(), Arc::new(AtomicBool::new(false)));
        (Held::new(Arc::new(slot), Arc::clone(&gone)), there, gone)
    }

    fn shared(folder: &Path) -> Shared {
        let card = |name: &str| CardSource::File(folder.join(name));
        Shared::new(Setup {
            station: "station-1".to_owned(),
            operator: card("operator.pem"),
            administrator: card("administrator.pem"),
            trust: pki::TrustList::new(),
            revocation: RevocationFile::new(&folder.join("crl"), Duration::from_secs(1)),
            server: ServerSettings::new("https://kms", Vec::new()),
            work_certificate: folder.join("work.pem"),
            ceremony: folder.join("ceremony"),
            journal: Journal::create(&folder.join("journal"), "a-long-enough-passphrase").unwrap(),
            collect: CollectSettings::default(),
            links: Links::default(),
            targets: Vec::new(),
            colour: false,
        })
    }

    #[test]
    fn an_open_card_that_was_out_between_two_looks_is_seen_as_pulled_out_once() {
        let folder = tempfile::tempdir().unwrap();
        let shared = shared(folder.path());
        let (card, there) = slot();
        let gone = shared.take_up();
        shared.hold(Place::Operator, Arc::new(card));
        assert!(!shared.was_out(Place::Operator) && !shared.was_out(Place::Administrator));
        there.store(false, Ordering::SeqCst);
        let mut known = None;
        let seen = look(&shared, Place::Operator, &mut known);
        assert_eq!((seen.card, seen.trouble), (None, None));
        assert!(!shared.was_out(Place::Operator), "told once");
        shared.let_go();
        assert!(gone.load(Ordering::SeqCst));
    }

    #[test]
    fn a_card_that_was_pulled_out_and_put_back_stays_gone() {
        let (held, there, gone) = held();
        assert!(held.present());
        there.store(false, Ordering::SeqCst);
        assert!(!held.present());
        there.store(true, Ordering::SeqCst);
        assert!(!held.present(), "it was put back, and is not the one that was opened");
        assert!(gone.load(Ordering::SeqCst), "the other card is gone with it");
    }

    #[test]
    fn a_card_is_gone_when_the_other_one_is_or_a_person_closes_both() {
        let (held, _, gone) = held();
        gone.store(true, Ordering::SeqCst);
        assert!(!held.present());
    }

    #[test]
    fn another_card_none_and_one_that_is_refused_end_what_is_open() {
        let face = |id: &str, refused: Option<&str>| Face {
            id: id.to_owned(),
            subject: String::new(),
            role: String::new(),
            until: 0,
            tries: None,
            own_pin_pad: false,
            refused: refused.map(str::to_owned),
        };
        let seen = |card| Seen { name: String::new(), card, trouble: None };
        let good = seen(Some(face("a", None)));
        assert!(was_good(Some(&good)) && !changed(Some(&good), &good));
        let with_a_wrong_pin = Face { tries: Some(Tries::Few), ..face("a", None) };
        assert!(!changed(Some(&good), &seen(Some(with_a_wrong_pin))));
        for other in [None, Some(face("b", None)), Some(face("a", Some("revoked")))] {
            assert!(changed(Some(&good), &seen(other)));
        }
        assert!(!was_good(None) && !was_good(Some(&seen(Some(face("a", Some("expired")))))));
    }
}
