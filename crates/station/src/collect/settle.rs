//! What can only be seen when all have answered.

use std::collections::HashMap;

use wire::Serial;

use super::{CollectFault, CollectedTerminal, FailedTerminal, StationSuite};

/// Splits off the terminals that are not unique in this run, each with its reason.
///
/// Two answers with one serial, of the terminal or its PIN pad (keys belong to the PIN pad), mean that one of them is
/// not what it says, and the station cannot tell which: it uses neither. The same for two with one Ctk_Pu, which no
/// encryption makes twice, and for two whose answers one device key signed.
pub(crate) fn settle<S: StationSuite>(
    collected: Vec<CollectedTerminal<S>>,
) -> (Vec<CollectedTerminal<S>>, Vec<FailedTerminal>) {
    let faults: Vec<Option<CollectFault>> = {
        let serials = index(&collected, |terminal| {
            let device = terminal.device();
            [Some(device.sn()), device.external_pin_pad()].into_iter().flatten().collect()
        });
        let keys = index(&collected, |terminal| vec![terminal.ctk_pu()]);
        let makers = index(&collected, |terminal| terminal.maker_key().into_iter().collect());
        let fault = |(place, terminal): (usize, &CollectedTerminal<S>)| {
            let device = terminal.device();
            let twice = |sn: &Serial| {
                let other = other(&serials, &sn, place).and_then(|other| collected.get(other))?;
                let other = other.target().address().to_owned();
                Some(CollectFault::SerialTwice { sn: sn.clone(), other })
            };
            let copied = || {
                let other = other(&keys, &terminal.ctk_pu(), place).and_then(|other| collected.get(other))?;
                Some(CollectFault::SameTransportKey { other: other.device().sn().clone() })
            };
            let borrowed = || {
                let maker = terminal.maker_key()?;
                let other = other(&makers, &maker, place).and_then(|other| collected.get(other))?;
                Some(CollectFault::SameDeviceKey { other: other.device().sn().clone() })
            };
            twice(device.sn()).or_else(|| twice(device.pin_pad())).or_else(copied).or_else(borrowed)
        };
        collected.iter().enumerate().map(fault).collect()
    };
    let (mut unique, mut refused) = (Vec::new(), Vec::new());
    for (terminal, fault) in collected.into_iter().zip(faults) {
        match fault {
            None => unique.push(terminal),
            Some(fault) => refused.push(terminal.refuse(fault)),
        }
    }
    (unique, refused)
}

/// Which places have which value.
fn index<'a, S: StationSuite, K: Eq + std::hash::Hash>(
    collected: &'a [CollectedTerminal<S>],
    values: impl Fn(&'a CollectedTerminal<S>) -> Vec<K>,
) -> HashMap<K, Vec<usize>> {
    let mut index: HashMap<K, Vec<usize>> = HashMap::new();
    for (place, terminal) in collected.iter().enumerate() {
        for value in values(terminal) {
            index.entry(value).or_default().push(place);
        }
    }
    index
}

/// Another place with this value.
fn other<K: Eq + std::hash::Hash>(index: &HashMap<K, Vec<usize>>, value: &K, place: usize) -> Option<usize> {
    index.get(value)?.iter().copied().find(|other| *other != place)
}

#[cfg(test)]
mod tests {
    use flows::collect::Collected;
    use wire::Device;

    use super::*;

    fn terminal(sn: &str, pin_pad: Option<&str>, key: u8) -> CollectedTerminal {
        let serial = |text| Serial::parse(text).unwrap();
        let answer = Collected {
            device: Device::new(serial(sn), pin_pad.map(serial)).unwrap(),
            vendor: None,
            model: None,
            ctk_pu: vec![key; 256],
            maker: (),
            refusals: Vec::new(),
        };
        CollectedTerminal {
            target: format!("{sn}-{key}:7802").parse().unwrap(),
            frame: answer.write().unwrap(),
            answer,
            ceremony: (),
            work_certificate_sha256: String::new(),
            kept: 0,
        }
    }

    #[test]
    fn different_terminals_all_stay() {
        let (unique, refused) =
            settle(vec![terminal("A", None, 1), terminal("B", Some("PP-B"), 2), terminal("C", None, 3)]);
        assert_eq!((unique.len(), refused.len()), (3, 0));
    }

    #[test]
    fn serial_seen_twice_is_refused_and_named_at_both_addresses() {
        let (unique, refused) =
            settle(vec![terminal("A", None, 1), terminal("B", None, 2), terminal("A", None, 3)]);
        assert_eq!(unique.len(), 1);
        let said: Vec<_> = refused.iter().map(ToString::to_string).collect();
        assert!(said[0].contains("A answered at A-3:7802 too"), "{said:?}");
        assert!(said[1].contains("A answered at A-1:7802 too"), "{said:?}");
    }

    #[test]
    fn pin_pad_at_two_terminals_is_refused() {
        for second in [terminal("B", Some("PP"), 2), terminal("PP", None, 2)] {
            let (unique, refused) = settle(vec![terminal("A", Some("PP"), 1), second]);
            assert!(unique.is_empty());
            let twice = |failed: &FailedTerminal| matches!(failed.fault(), CollectFault::SerialTwice { sn, .. } if sn.as_str() == "PP");
            assert!(refused.iter().all(twice));
        }
    }

    #[test]
    fn the_same_transport_key_from_two_terminals_is_refused() {
        let (unique, refused) =
            settle(vec![terminal("A", None, 1), terminal("B", None, 1), terminal("C", None, 2)]);
        assert_eq!(unique.len(), 1);
        let copied =
            |failed: &FailedTerminal| matches!(failed.fault(), CollectFault::SameTransportKey { .. });
        assert!(refused.len() == 2 && refused.iter().all(copied));
    }
}
