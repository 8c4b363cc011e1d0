//! A token that is taken out in the middle of a run.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use flows::collect::terminal::Ask;
use keyferry_station::{
    CollectFault, CollectSettings, Error, FailedTerminal, PackSettings, Package, Progress, Quiet, Target,
    collect,
};
use wire::{Device, ErrorCode, ErrorMessage, Frame, FrameDecoder};

use crate::estate::{Cards, ESTATE};
use crate::fake_terminal::{collected, honest, receive, terminal};
use crate::journals::journal;
use crate::{Readers, alone};

/// Whether a terminal failed since this token went.
fn gone<'a>(label: &'a str) -> impl Fn(&Error) -> bool + 'a {
    move |error| matches!(error, Error::CardMissing { card } if card.starts_with(label))
}

/// A terminal that reads COLLECT, says that it did, and waits; what the station says then is kept.
fn waiting(asked: mpsc::Sender<()>, told: mpsc::Sender<Frame>) -> Target {
    terminal(move |mut stream| {
        receive(&mut stream);
        asked.send(()).unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let mut decoder = FrameDecoder::new();
        decoder.push(&bytes).unwrap();
        told.send(decoder.next().unwrap().unwrap()).unwrap();
    })
}

/// A terminal that counts who comes to it.
fn counting(visits: &Arc<AtomicUsize>) -> Target {
    let visits = Arc::clone(visits);
    terminal(move |_| {
        visits.fetch_add(1, Ordering::SeqCst);
    })
}

#[test]
fn r35_a_token_taken_out_ends_the_run_for_every_terminal_at_once() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let both = readers.open().unwrap();
        let (asked, askings) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let visits = Arc::new(AtomicUsize::new(0));
        let mut targets: Vec<_> = (0..3).map(|_| waiting(asked.clone(), tell.clone())).collect();
        targets.extend((0..4).map(|_| counting(&visits)));
        let settings = CollectSettings { parallel: 3, ..CollectSettings::default() };
        let work = ESTATE.work_certificate();
        let run = thread::scope(|scope| {
            let run = scope.spawn(|| collect(&both, &work, &targets, &settings, journal(), &Quiet));
            // All three wait for their terminals, for the wire's half minute, when the administrator goes.
            askings.iter().take(3).for_each(drop);
            tokens.delete("Adam");
            run.join().unwrap().unwrap()
        });
        assert!(run.collected.is_empty());
        let (during, before): (Vec<_>, Vec<_>) =
            run.failed.iter().partition(|failed| matches!(failed.fault(), CollectFault::CardsDuring(_)));
        assert_eq!((during.len(), before.len()), (3, 4));
        for failed in during.iter().chain(&before) {
            let (CollectFault::CardsDuring(why) | CollectFault::Cards(why)) = failed.fault() else {
                panic!("{failed}")
            };
            assert!(gone("Adam")(why), "{failed}");
        }
        // No wait ran out: that would be a timeout, and another fault. And nobody else was asked.
        assert_eq!(visits.load(Ordering::SeqCst), 0);
        // The terminals are told, and give the same answer when they are asked again.
        for frame in told.iter().take(3) {
            let code = ErrorMessage::read(&frame.message().unwrap().fields).known_code();
            assert_eq!(code, Some(ErrorCode::NotPermittedNow));
        }
        let how = PackSettings { station: "station-1".to_owned(), replaces: false };
        assert!(Package::sign(&both, &run.collected, &how).is_err());
    });
}

#[test]
fn r35_an_answer_that_comes_after_the_card_went_is_not_used() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let both = readers.open().unwrap();
        let store = tokens.store();
        let away = tokens.folder().join("gone");
        // The card is out between question and answer, whatever the watch sees meanwhile.
        let target = terminal(move |mut stream| {
            let ask = <Ask>::read(&receive(&mut stream)).unwrap();
            std::fs::rename(&store, &away).unwrap();
            let _ = stream.write_all(ask.answer(&collected("SN-1", None)).unwrap().bytes());
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let run = collect(
            &both,
            &ESTATE.work_certificate(),
            &[target],
            &CollectSettings::default(),
            journal(),
            &Quiet,
        )
        .unwrap();
        assert!(run.collected.is_empty());
        let [failed] = run.failed.as_slice() else { panic!("{:?}", run.failed) };
        assert!(matches!(failed.fault(), CollectFault::CardsDuring(why) if gone("Olga")(why)), "{failed}");
    });
}

/// Takes both tokens out when the first terminal is collected, and puts them back when the second has failed.
struct OutAndIn<'a> {
    tokens: &'a crate::Tokens,
    out: Mutex<Option<crate::softhsm::TakenOut>>,
}

impl Progress for OutAndIn<'_> {
    fn collected(&self, _: &Target, _: &Device, _: &str) {
        *self.out.lock().unwrap() = Some(self.tokens.take_out());
    }

    fn failed(&self, _: &FailedTerminal) {
        if let Some(out) = self.out.lock().unwrap().take() {
            out.put_back();
        }
    }
}

#[test]
fn r35_a_run_does_not_go_on_when_the_card_comes_back() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let both = readers.open().unwrap();
        let visits = Arc::new(AtomicUsize::new(0));
        let targets = [honest("SN-1"), counting(&visits), counting(&visits), counting(&visits)];
        let settings = CollectSettings { parallel: 1, ..CollectSettings::default() };
        let progress = OutAndIn { tokens, out: Mutex::new(None) };
        let work = ESTATE.work_certificate();
        let run = collect(&both, &work, &targets, &settings, journal(), &progress).unwrap();
        assert_eq!((run.collected.len(), run.failed.len()), (1, 3));
        let ended =
            |failed: &FailedTerminal| matches!(failed.fault(), CollectFault::Cards(why) if gone("Olga")(why));
        assert!(run.failed.iter().all(ended), "{:?}", run.failed);
        assert_eq!(visits.load(Ordering::SeqCst), 0);
        drop(both);
        // Opened anew, the station goes on, and what was collected is packed.
        let both = readers.open().unwrap();
        let how = PackSettings { station: "station-1".to_owned(), replaces: false };
        Package::sign(&both, &run.collected, &how).unwrap();
    });
}

/// The same with a file, which is there again at once, where SoftHSM's token has to be opened anew.
struct FileOutAndIn<'a>(&'a Cards);

impl Progress for FileOutAndIn<'_> {
    fn collected(&self, _: &Target, _: &Device, _: &str) {
        std::fs::rename(self.0.path("operator.pem"), self.0.path("pocket.pem")).unwrap();
    }

    fn failed(&self, _: &FailedTerminal) {
        // The first one to fail puts it back.
        let _ = std::fs::rename(self.0.path("pocket.pem"), self.0.path("operator.pem"));
    }
}

#[test]
fn r35_a_run_does_not_go_on_when_a_card_file_comes_back() {
    let cards = Cards::good();
    let both = cards.open().unwrap();
    let visits = Arc::new(AtomicUsize::new(0));
    let targets = [honest("SN-1"), counting(&visits), counting(&visits), counting(&visits)];
    let settings = CollectSettings { parallel: 1, ..CollectSettings::default() };
    let work = ESTATE.work_certificate();
    let run = collect(&both, &work, &targets, &settings, journal(), &FileOutAndIn(&cards)).unwrap();
    assert_eq!((run.collected.len(), run.failed.len()), (1, 3));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    both.check().unwrap();
}

/// A card that was out for less than a moment is there again, and its session is not: as when somebody else in the program
/// ends it.
#[test]
fn r35_a_card_whose_session_ended_is_not_there_any_more() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let both = readers.open().unwrap();
        both.check().unwrap();
        assert!(readers.operator.token.open("000000").is_err());
        assert!(readers.operator.token.present());
        let error = both.check().unwrap_err();
        assert!(gone("Olga")(&error), "{error}");
        drop(both);
        readers.open().unwrap().check().unwrap();
    });
}

#[test]
fn r35_another_token_with_the_same_label_is_not_the_card_that_was_opened() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let both = readers.open().unwrap();
        tokens.delete("Olga");
        tokens.make("Olga", crate::OLGA_PIN);
        let error = both.check().unwrap_err();
        assert!(gone("Olga")(&error), "{error}");
    });
}
