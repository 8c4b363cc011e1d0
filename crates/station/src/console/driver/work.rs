//! Opening cards, collecting, packing.

use std::{
    fs,
    sync::{
        Arc,
        atomic::AtomicBool,
        mpsc::{self, Receiver, Sender},
    },
};

use flows::EcAes;
use pki::{Certificate, KeyFamily};
use wire::Device;

use super::{
    super::{Event, Pin, Place},
    Note, outbox, post,
    readers::Held,
    shared::{Shared, spawn, tell},
};
use crate::{
    BothCards, Card, Ceremony, CollectFault, Error, FailedTerminal, Progress, Server, StationSuite, Target,
    WorkCertificate, both_cards::in_common, card::Opened, collect, pack_collected,
};

pub(super) enum Order {
    Open(Place, Pin),
    Close,
    Collect(Vec<String>),
}

pub(super) fn start(
    shared: &Arc<Shared>,
    notes: &Sender<Note>,
    server: &Arc<Server>,
    post: &Sender<post::Order>,
) -> Result<Sender<Order>, Error> {
    let (orders, inbox) = mpsc::channel();
    let mut bench = Bench {
        shared: Arc::clone(shared),
        notes: notes.clone(),
        server: Arc::clone(server),
        post: post.clone(),
        cards: Cards::Shut,
    };
    spawn("work", notes, move || bench.serve(&inbox))?;
    Ok(orders)
}

struct Bench {
    shared: Arc<Shared>,
    notes: Sender<Note>,
    server: Arc<Server>,
    post: Sender<post::Order>,
    cards: Cards,
}

/// How far the cards are open.
enum Cards {
    Shut,
    Operator(Opened, Arc<AtomicBool>),
    Both(BothCards),
}

impl Bench {
    fn serve(&mut self, inbox: &Receiver<Order>) {
        for order in inbox {
            match order {
                Order::Open(place, pin) => {
                    let opened = self.open(place, &pin).map_err(|error| why_shut(&error));
                    // The PIN is wiped before anybody hears of it.
                    drop(pin);
                    tell(&self.notes, Event::Opened(place, opened));
                }
                Order::Close => self.cards = Cards::Shut,
                Order::Collect(addresses) => {
                    let ended = self.collect(&addresses).map_err(|error| error.to_string());
                    if ended.is_err() {
                        self.count_unpacked(None);
                    }
                    tell(&self.notes, Event::RunEnded(ended));
                }
            }
        }
    }

    fn open(&mut self, place: Place, pin: &Pin) -> Result<(), Error> {
        let shared = &self.shared;
        let checks = shared.lasting_checks()?;
        let before = std::mem::replace(&mut self.cards, Cards::Shut);
        let open = |gone: &Arc<AtomicBool>| {
            let card = shared.reader(place).insert()?;
            // Before a try is spent: one card in both places.
            let other = if place == Place::Operator { Place::Administrator } else { Place::Operator };
            let other = shared.reader(other).insert()?;
            if let Some(what) = in_common(card.certificate(), other.certificate()) {
                return Err(Error::SameCard { what });
            }
            let card: Arc<dyn Card> = card.into();
            let held = Box::new(Held::new(Arc::clone(&card), Arc::clone(gone)));
            let opened = Opened::open(held, pin.for_the_card(), place.role(), &checks)?;
            shared.hold(place, card);
            Ok(opened)
        };
        self.cards = match (place, before) {
            (Place::Operator, _) => {
                let gone = shared.take_up();
                Cards::Operator(open(&gone)?, gone)
            }
            (Place::Administrator, Cards::Operator(operator, gone)) => match open(&gone) {
                Ok(administrator) => Cards::Both(BothCards::join(operator, administrator)?),
                Err(error) => {
                    // The operator's PIN was good, and is not asked again.
                    self.cards = Cards::Operator(operator, gone);
                    return Err(error);
                }
            },
            (Place::Administrator, _) => {
                return Err(Error::CardMissing { card: shared.setup.operator.to_string() });
            }
        };
        Ok(())
    }

    fn collect(&self, addresses: &[String]) -> Result<(), Error> {
        let Cards::Both(cards) = &self.cards else {
            return Err(Error::CardMissing { card: "operator or administrator".to_owned() });
        };
        if addresses.is_empty() {
            return self.pack(cards);
        }
        let setup = &self.shared.setup;
        let checks = self.shared.lasting_checks()?;
        let targets: Vec<_> = addresses.iter().filter_map(|address| self.shared.target(address)).collect();
        let path = &setup.work_certificate;
        let pem = fs::read_to_string(path).map_err(Error::file("read", path))?;
        let leaf = Certificate::from_pem(&pem).map_err(|error| Error::WorkCertificateUnreadable {
            path: path.clone(),
            why: error.to_string(),
        })?;
        // Its key says which suite terminals are collected in.
        match KeyFamily::of(leaf.spki_der()) {
            Ok(KeyFamily::P256) => {
                let ceremony = self.ceremony(cards)?;
                let work = WorkCertificate::<EcAes>::from_pem_under(ceremony, &pem, &checks)?;
                self.run(cards, &work, &targets)
            }
            _ => self.run(cards, &WorkCertificate::from_pem(&pem, &checks)?, &targets),
        }
    }

    fn run<S: StationSuite>(
        &self,
        cards: &BothCards,
        work: &WorkCertificate<S>,
        targets: &[Target],
    ) -> Result<(), Error> {
        let setup = &self.shared.setup;
        collect(cards, work, targets, &setup.collect, &setup.journal, &Told(&self.notes))?;
        self.pack(cards)
    }

    /// Packs all that was collected under these two cards, in this run or before a card went in an earlier one.
    fn pack(&self, cards: &BothCards) -> Result<(), Error> {
        let setup = &self.shared.setup;
        let packing = pack_collected(&setup.journal, cards, &setup.station)?;
        for name in &packing.packed {
            tell(&self.notes, Event::Queued(outbox::parcel(&setup.journal, name)?));
        }
        if !packing.packed.is_empty() {
            let _ = self.post.send(post::Order::Package);
        }
        let left = packing.left.first().map(|left| left.why.to_string());
        let withdrawn = packing.withdrawn.first().map(|gone| format!("{}: {}", gone.sn, gone.why));
        self.count_unpacked(left.or(withdrawn));
        Ok(())
    }

    fn count_unpacked(&self, why: Option<String>) {
        tell(&self.notes, Event::Unpacked(self.shared.setup.journal.overview().unpacked, why));
    }

    /// Today's ceremony: the one kept, or else a new one, for which the server must be reached.
    fn ceremony(&self, cards: &BothCards) -> Result<Ceremony, Error> {
        let setup = &self.shared.setup;
        Ceremony::of_today(&setup.ceremony, &self.server, cards, &setup.station)
    }
}

/// Why a card did not open, for the person who typed its PIN: which card it is stands above it.
fn why_shut(error: &Error) -> String {
    match error {
        Error::CardPin { why, .. } => why.clone(),
        other => other.to_string(),
    }
}

/// Tells the screen of a run.
struct Told<'a>(&'a Sender<Note>);

impl Progress for Told<'_> {
    fn asking(&self, target: &Target) {
        tell(self.0, Event::Asking(target.to_string()));
    }

    fn again(&self, target: &Target, why: &CollectFault) {
        tell(self.0, Event::Again { address: target.to_string(), why: why.to_string() });
    }

    fn collected(&self, target: &Target, device: &Device, fingerprint: &str) {
        tell(
            self.0,
            Event::Collected {
                address: target.to_string(),
                sn: device.sn().to_string(),
                pin_pad: device.external_pin_pad().map(ToString::to_string),
                fingerprint: fingerprint.to_owned(),
            },
        );
    }

    fn failed(&self, failed: &FailedTerminal) {
        tell(
            self.0,
            Event::Failed {
                address: failed.target().to_string(),
                sn: failed.sn().map(ToString::to_string),
                reason: failed.fault().to_string(),
                advice: failed.fault().advice().to_owned(),
            },
        );
    }

    fn withdrawn(&self, failed: &FailedTerminal) {
        self.failed(failed);
    }
}
