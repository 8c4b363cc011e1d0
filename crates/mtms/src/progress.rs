//! What a person sees while an order is dispatched.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the bar moves when nothing else happens.
const TICK: Duration = Duration::from_millis(200);
/// How the bar looks: how far, how fast, how long still.
const LOOK: &str = "{bar:30} {pos}/{len} terminals, {per_sec}, {elapsed} gone, {eta} left";

/// Told what happens.
pub trait Progress: Send + Sync {
    /// So many terminals are to be delivered.
    fn started(&self, _terminals: u64) {}

    /// The KMS has answered for so many more.
    fn answered(&self, _terminals: u64) {}

    /// Something that people should know now.
    fn line(&self, _text: &str) {}

    /// Nothing more is to be done.
    fn finished(&self) {}
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {}

/// A bar on standard error with rate and estimate. Where that is no screen, only the lines.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar that has not begun.
    #[must_use]
    pub fn new() -> Self {
        let bar = ProgressBar::new(0);
        // A mistake in the template would only cost the looks.
        if let Ok(style) = ProgressStyle::with_template(LOOK) {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Bar {
    fn started(&self, terminals: u64) {
        self.0.set_length(terminals);
        self.0.reset();
        self.0.enable_steady_tick(TICK);
    }

    fn answered(&self, terminals: u64) {
        self.0.inc(terminals);
    }

    fn line(&self, text: &str) {
        if self.0.is_hidden() {
            eprintln!("{text}");
        } else {
            self.0.println(text);
        }
    }

    fn finished(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_looks_as_meant_and_counts_where_nobody_sees_it() {
        ProgressStyle::with_template(LOOK).unwrap();
        let bar = Bar::new();
        bar.started(3);
        bar.answered(2);
        assert_eq!((bar.0.position(), bar.0.length()), (2, Some(3)));
        bar.finished();
    }
}
