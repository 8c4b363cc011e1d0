//! Whether the time of an answer tells a known serial from a stranger: Welch's t over questions of both kinds in turn.
//! Below 4.5 in amount it tells nothing that this many questions could show.

use std::time::Instant;

use anyhow::{Context, Result};

use super::fleet::{Fetches, Fleet};
use crate::line::Line;

/// From here on two kinds of answers are told apart by their time.
pub(super) const TELLING: f64 = 4.5;

/// Times of one kind of answers, as they come (Welford's method).
#[derive(Default)]
struct Times {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Times {
    fn add(&mut self, microseconds: f64) {
        self.count += 1.0;
        let off = microseconds - self.mean;
        self.mean += off / self.count;
        self.squares += off * (microseconds - self.mean);
    }

    /// Variance of the mean.
    fn error(&self) -> f64 {
        if self.count < 2.0 { f64::INFINITY } else { self.squares / (self.count - 1.0) / self.count }
    }
}

/// What came out.
pub(super) struct Told {
    pub(super) t: f64,
    pub(super) known: f64,
    pub(super) stranger: f64,
    pub(super) each: usize,
}

/// Asks known ones and strangers in turn, `each` of both, a connection each.
pub(super) async fn measure<T: Fetches>(known: &Fleet<T>, strangers: &[T], each: usize) -> Result<Told> {
    let (mut of_known, mut of_strangers) = (Times::default(), Times::default());
    let mut known_ones = known.all.iter().cycle();
    let mut unknown_ones = strangers.iter().cycle();
    for turn in 0..each {
        let (one, other) = (
            known_ones.next().context("there are terminals")?,
            unknown_ones.next().context("there are strangers")?,
        );
        // Who is first changes: what one question leaves behind falls on both kinds.
        if turn.is_multiple_of(2) {
            of_known.add(ask(one, known).await?);
            of_strangers.add(ask(other, known).await?);
        } else {
            of_strangers.add(ask(other, known).await?);
            of_known.add(ask(one, known).await?);
        }
    }
    let error = (of_known.error() + of_strangers.error()).sqrt();
    let t = if error > 0.0 { (of_known.mean - of_strangers.mean) / error } else { 0.0 };
    Ok(Told { t, known: of_known.mean, stranger: of_strangers.mean, each })
}

/// Microseconds from the question to the server's proof.
async fn ask<T: Fetches>(one: &T, fleet: &Fleet<T>) -> Result<f64> {
    let mut line = Line::connect(fleet.address).await?;
    let began = Instant::now();
    one.first_proof(&mut line).await?;
    Ok(began.elapsed().as_secs_f64() * 1e6)
}

impl Told {
    pub(super) fn note(&self, what: &str) -> String {
        let Told { t, known, stranger, each } = self;
        let verdict = if t.abs() < TELLING { "tells nothing" } else { "TELLS them apart" };
        format!(
            "time of {what}: {known:.0} µs for a known serial, {stranger:.0} µs for a stranger, {each} of each; Welch's t \
             {t:.2}, below {TELLING} wanted: {verdict}"
        )
    }
}
