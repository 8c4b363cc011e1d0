//! Breadth first through every state within the bounds, so that the way to a broken rule is a shortest one.

use std::{
    collections::{VecDeque, hash_map::Entry},
    time::Instant,
};

use crate::{
    alone::Alone,
    cast::Cast,
    checks::{self, Broken},
    hash::Map,
    moves::{self, Action},
    state::Bounds,
    symbols::Symbols,
};

/// What an exploration found.
pub(crate) struct Explored {
    pub(crate) states: usize,
    pub(crate) broken: Option<(Broken, Vec<Action>)>,
    summary: String,
}

impl Explored {
    /// Numbers, for people.
    pub(crate) fn summary(&self) -> &str {
        &self.summary
    }
}

/// How a state was reached first.
struct Way {
    from: u32,
    depth: u16,
    action: Option<Action>,
}

/// Explores everything within the bounds, or up to the first broken rule.
pub(crate) fn explore<S: Symbols>(bounds: &Bounds) -> Explored {
    let start = Instant::now();
    let (mut cast, first) = Cast::<S>::new(bounds.rules, bounds.mixes);
    let mut alone = Alone::default();
    let mut ways = vec![Way { from: 0, depth: 0, action: None }];
    let mut seen = Map::from_iter([(first, 0_u32)]);
    let mut waiting = VecDeque::from([(first, 0_u32)]);
    let (mut transitions, mut broken) = (0, None);
    'states: while let Some((state, number)) = waiting.pop_front() {
        let depth = ways[number as usize].depth + 1;
        for next in moves::all(&mut cast, bounds, state) {
            transitions += 1;
            let to = u32::try_from(ways.len()).unwrap();
            match seen.entry(next.state) {
                // How it was reached breaks no rule: it was checked already.
                Entry::Occupied(_) if next.broken.is_none() => continue,
                Entry::Occupied(_) => {}
                Entry::Vacant(place) => drop(place.insert(to)),
            }
            ways.push(Way { from: number, depth, action: Some(next.action) });
            let rule = next.broken.or_else(|| checks::broken(&mut cast, &mut alone, bounds, &next.state));
            if let Some(rule) = rule.filter(|rule| Some(*rule) != bounds.excused) {
                broken = Some((rule, trace(&ways, to)));
                break 'states;
            }
            waiting.push_back((next.state, to));
        }
    }
    let depth = usize::from(ways.last().map_or(0, |way| way.depth));
    let (terminals, servers) = cast.histories();
    let summary = format!(
        "{} states, {transitions} transitions, {depth} steps deep, in {:.1} s; {} steps of the roles in {terminals} \
         histories of terminals and {servers} of servers, {} parts of messages, {} undisturbed runs",
        seen.len(),
        start.elapsed().as_secs_f64(),
        cast.role_steps,
        cast.parts.len(),
        alone.runs(),
    );
    Explored { states: seen.len(), broken, summary }
}

fn trace(ways: &[Way], to: u32) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut at = &ways[to as usize];
    while let Some(action) = at.action {
        actions.push(action);
        at = &ways[at.from as usize];
    }
    actions.reverse();
    actions
}
