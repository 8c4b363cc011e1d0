//! How many connections there are, in all and from each address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts connections against their limits.
#[derive(Clone)]
pub(crate) struct Connections {
    counts: Arc<Mutex<Counts>>,
    most: usize,
    most_per_address: usize,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One counted connection; dropping it frees its place.
pub(crate) struct Place {
    all: Connections,
    address: IpAddr,
}

impl Connections {
    /// Limits: in all, and from one address (0: none).
    pub(crate) fn new(most: usize, most_per_address: usize) -> Self {
        Self { counts: Arc::default(), most, most_per_address }
    }

    /// A place for a connection from `address`, if there is one.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut counts = self.lock();
        let from_here = counts.by_address.get(&address).copied().unwrap_or(0);
        let full = self.most_per_address > 0 && from_here >= self.most_per_address;
        if counts.all >= self.most || full {
            return None;
        }
        counts.all += 1;
        counts.by_address.insert(address, from_here + 1);
        Some(Place { all: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Nothing in the critical sections can leave the counts half changed.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.all.lock();
        counts.all -= 1;
        if let Some(from_here) = counts.by_address.get_mut(&self.address) {
            *from_here -= 1;
            if *from_here == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn limits_hold_in_all_and_for_one_address_and_places_come_free() {
        let [a, b] = [1, 2].map(|n| IpAddr::V4(Ipv4Addr::new(127, 0, 0, n)));
        let connections = Connections::new(3, 2);
        let mut places: Vec<_> = (0..2).map(|_| connections.enter(a).unwrap()).collect();
        assert!(connections.enter(a).is_none(), "two from one address");
        places.push(connections.enter(b).unwrap());
        assert!(connections.enter(b).is_none(), "three in all");
        places.clear();
        assert!(connections.enter(a).is_some());
        assert!(connections.lock().by_address.is_empty());
    }
}
