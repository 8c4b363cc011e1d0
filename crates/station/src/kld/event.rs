//! What a run's journal says, and what it comes to.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use wire::Suite;

use super::{Listed, What};

/// An event of a run. It is on disk before what it says happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event {
    /// The run begins. Always first.
    Opened(Opened),
    /// A key is about to leave for this terminal: from here on its serial is served.
    HandedOut { at: i64, terminal: Listed, key: Handed },
    /// KEY_CONFIRM had its check value.
    Confirmed { at: i64, sn: String, what: What },
    /// KEY_CONFIRM had another one, or the terminal refused: it does not hold the key.
    NotLoaded { at: i64, sn: String, what: What },
    /// A terminal was refused or failed.
    Failed {
        at: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terminal: Option<Listed>,
        code: String,
        why: String,
    },
    /// A terminal came whose serial was served: nothing more is loaded in this run.
    Stopped { at: i64, terminal: Listed, why: String },
    /// The run is closed. Always last.
    Closed { at: i64 },
}

/// How a run begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Opened {
    pub(super) version: u32,
    pub(super) run: String,
    pub(super) at: i64,
    pub(super) what: Vec<What>,
    pub(super) terminals: Vec<Listed>,
    /// DF01 of its loadings; a journal that does not say is of suite 01.
    #[serde(default = "suite_01", skip_serializing_if = "is_suite_01")]
    pub(super) suite: u8,
    /// The name of the exchange key that the report's blocks are under.
    pub(super) exchange_key: String,
    /// The two people.
    pub(super) operator: String,
    pub(super) administrator: String,
}

/// A key that left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Handed {
    pub(super) what: What,
    /// Hex digits: 6 of suite 01, 10 of suite 02.
    pub(super) kcv: String,
    /// For the report: X9.143 under the exchange key.
    pub(super) escrow: String,
    /// The load counter of a TMK of suite 02.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) counter: Option<u64>,
    /// The device key that it left for, in suite 02: SHA-256, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<String>,
}

fn suite_01() -> u8 {
    Suite::TDES.byte()
}

fn is_suite_01(suite: &u8) -> bool {
    *suite == suite_01()
}

/// What became of a key that left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Nobody knows: no KEY_CONFIRM came.
    Unconfirmed,
    /// The terminal opened it.
    Loaded,
    /// The terminal does not hold it.
    NotLoaded,
}

/// A terminal that was served.
#[derive(Debug, Clone)]
pub(super) struct Served {
    pub(super) terminal: Listed,
    pub(super) keys: Vec<(Handed, KeyState)>,
    /// Its last failure.
    pub(super) code: Option<String>,
    /// A true terminal may have found its serial served: these keys may be in a false one.
    pub(super) compromised: bool,
}

/// A terminal that was refused or failed before a key left for it.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) at: i64,
    pub(super) terminal: Option<Listed>,
    pub(super) code: String,
}

/// What the events come to.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub(super) opened: Opened,
    pub(super) served: Vec<Served>,
    pub(super) refused: Vec<Refused>,
    pub(super) stopped: Option<String>,
    pub(super) closed_at: Option<i64>,
}

impl Tally {
    pub(super) fn new(opened: Opened) -> Tally {
        Tally { opened, served: Vec::new(), refused: Vec::new(), stopped: None, closed_at: None }
    }

    /// Takes the events that followed.
    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            // A journal begins once.
            Event::Opened(_) => {}
            Event::HandedOut { terminal, key, .. } => {
                let kept = (key.clone(), KeyState::Unconfirmed);
                match self.of(&terminal.sn) {
                    Some(served) => served.keys.push(kept),
                    None => self.served.push(Served {
                        terminal: terminal.clone(),
                        keys: vec![kept],
                        code: None,
                        compromised: false,
                    }),
                }
            }
            Event::Confirmed { sn, what, .. } => self.settle(sn, what, KeyState::Loaded),
            Event::NotLoaded { sn, what, .. } => self.settle(sn, what, KeyState::NotLoaded),
            Event::Failed { at, terminal, code, .. } => {
                // Who says a served serial beside another PIN pad is not the one that was served.
                let served = terminal.as_ref().and_then(|terminal| {
                    self.of(&terminal.sn).filter(|served| served.terminal.pin_pad() == terminal.pin_pad())
                });
                match served {
                    Some(served) => served.code = Some(code.clone()),
                    None => {
                        let (terminal, code) = (terminal.clone(), code.clone());
                        self.refused.push(Refused { at: *at, terminal, code });
                    }
                }
            }
            Event::Stopped { terminal, why, .. } => {
                self.stopped = Some(why.clone());
                for served in &mut self.served {
                    served.compromised |= share(&served.terminal, terminal);
                }
            }
            Event::Closed { at } => self.closed_at = Some(*at),
        }
    }

    /// Whether a key left for this terminal or its PIN pad.
    pub(super) fn is_served(&self, terminal: &Listed) -> bool {
        self.served.iter().any(|served| share(&served.terminal, terminal))
    }

    /// Whether a key left for this PIN pad, whatever the serial beside it: a device certificate proves no more than the PIN
    /// pad's.
    pub(super) fn is_served_pin_pad(&self, terminal: &Listed) -> bool {
        self.served.iter().any(|served| served.terminal.pin_pad() == terminal.pin_pad())
    }

    /// Whether every key that left for this terminal or its PIN pad left for this very device key.
    pub(super) fn is_served_device(&self, terminal: &Listed, device: &str) -> bool {
        let served = self.served.iter().filter(|served| share(&served.terminal, terminal));
        served.flat_map(|served| &served.keys).all(|(key, _)| key.device.as_deref() == Some(device))
    }

    /// Whether the list has exactly this pair.
    pub(super) fn is_listed(&self, terminal: &Listed) -> bool {
        self.opened.terminals.contains(terminal)
    }

    /// Listed terminals for which no key left.
    pub(super) fn missing(&self) -> Vec<&Listed> {
        let served: HashSet<&str> = self.served.iter().map(|served| served.terminal.sn.as_str()).collect();
        self.opened.terminals.iter().filter(|listed| !served.contains(listed.sn.as_str())).collect()
    }

    fn of(&mut self, sn: &str) -> Option<&mut Served> {
        self.served.iter_mut().find(|served| served.terminal.sn == sn)
    }

    fn settle(&mut self, sn: &str, what: &What, state: KeyState) {
        let served = self.of(sn);
        let key = served.and_then(|served| served.keys.iter_mut().find(|(key, _)| key.what == *what));
        if let Some((_, is)) = key {
            *is = state;
        }
    }
}

impl Served {
    /// Whether it has as many keys as each terminal gets, and no other terminal can have them.
    pub(super) fn is_good(&self, wanted: usize) -> bool {
        let loaded = self.keys.iter().filter(|(_, state)| *state == KeyState::Loaded).count();
        loaded == wanted && !self.compromised
    }
}

/// Whether two are one by a serial: of the terminal, or of the PIN pad that keys belong to.
fn share(one: &Listed, other: &Listed) -> bool {
    one.sn == other.sn || one.pin_pad() == other.pin_pad()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(sn: &str, pin_pad: Option<&str>) -> Listed {
        Listed { sn: sn.to_owned(), pin_pad_sn: pin_pad.map(str::to_owned) }
    }

    fn tally() -> Tally {
        Tally::new(Opened {
            version: 1,
            run: "R".to_owned(),
            at: 1,
            what: vec![What::Tmk { slot: 1 }, What::Dmk],
            terminals: vec![listed("SN-1", None), listed("SN-2", Some("PP-2"))],
            suite: 1,
            exchange_key: "KLD-7".to_owned(),
            operator: "O".to_owned(),
            administrator: "A".to_owned(),
        })
    }

    fn handed(terminal: &Listed, what: What) -> Event {
        let (kcv, escrow) = ("AABBCC".to_owned(), "B0".to_owned());
        let key = Handed { what, kcv, escrow, counter: None, device: None };
        Event::HandedOut { at: 2, terminal: terminal.clone(), key }
    }

    #[test]
    fn a_serial_is_served_from_the_moment_that_a_key_leaves() {
        let (mut tally, terminal) = (tally(), listed("SN-1", None));
        let failed = |code: &str| Event::Failed {
            at: 2,
            terminal: Some(terminal.clone()),
            code: code.to_owned(),
            why: String::new(),
        };
        tally.apply(&failed("000D"));
        assert!(!tally.is_served(&terminal), "a refusal before is none");
        tally.apply(&handed(&terminal, What::Dmk));
        assert!(tally.is_served(&terminal));
        assert_eq!(tally.served[0].keys[0].1, KeyState::Unconfirmed);
        tally.apply(&failed("0007"));
        assert_eq!(tally.served[0].code.as_deref(), Some("0007"));
        assert_eq!((tally.refused.len(), tally.missing()), (1, vec![&listed("SN-2", Some("PP-2"))]));
    }

    #[test]
    fn a_pin_pad_is_served_once_whatever_terminal_brings_it() {
        let mut tally = tally();
        tally.apply(&handed(&listed("SN-2", Some("PP-2")), What::Dmk));
        assert!(tally.is_served(&listed("SN-9", Some("PP-2"))));
        assert!(tally.is_served(&listed("PP-2", None)));
        assert!(!tally.is_served(&listed("SN-1", None)));
    }

    #[test]
    fn only_the_very_pair_of_the_list_is_listed() {
        let tally = tally();
        assert!(tally.is_listed(&listed("SN-2", Some("PP-2"))));
        for other in [listed("SN-2", None), listed("SN-1", Some("PP-2")), listed("SN-3", None)] {
            assert!(!tally.is_listed(&other), "{other}");
        }
    }

    #[test]
    fn a_stop_marks_the_keys_of_the_serial_and_no_others() {
        let mut tally = tally();
        let (one, two) = (listed("SN-1", None), listed("SN-2", Some("PP-2")));
        for terminal in [&one, &two] {
            tally.apply(&handed(terminal, What::Dmk));
            tally.apply(&Event::Confirmed { at: 3, sn: terminal.sn.clone(), what: What::Dmk });
        }
        assert!(tally.served.iter().all(|served| served.is_good(1) && !served.is_good(2)));
        tally.apply(&Event::Stopped { at: 4, terminal: one, why: "twice".to_owned() });
        let good: Vec<_> = tally.served.iter().map(|served| served.is_good(1)).collect();
        assert_eq!((good, tally.stopped.as_deref()), (vec![false, true], Some("twice")));
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let event = handed(&listed("SN-2", Some("PP-2")), What::Dik2 { label: Some("B".to_owned()) });
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }
}
