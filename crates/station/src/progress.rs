//! What a person sees while terminals are collected.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use wire::Device;

use crate::collect::{CollectFault, FailedTerminal, Target};

/// How often the bar moves when nothing else happens.
const TICK: Duration = Duration::from_millis(200);

/// How the bar looks.
const LOOK: &str = "{bar:30} {pos}/{len} terminals, {elapsed}";

/// Told what happens in a run, from any of its threads.
pub trait Progress: Sync {
    /// So many terminals are to be collected.
    fn started(&self, _terminals: usize) {}

    /// This one is being asked.
    fn asking(&self, _target: &Target) {}

    /// This one's line failed, and it is asked again.
    fn again(&self, _target: &Target, _why: &CollectFault) {}

    /// One answered, with a TK of this fingerprint.
    fn collected(&self, _target: &Target, _device: &Device, _fingerprint: &str) {}

    /// One did not, or its answer was refused.
    fn failed(&self, _terminal: &FailedTerminal) {}

    /// An answer that was told as collected is refused after all, because another one contradicts it.
    fn withdrawn(&self, _terminal: &FailedTerminal) {}

    /// All have been asked.
    fn finished(&self) {}
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {}

/// A bar on standard error; each terminal's fingerprint, or why it failed and what to do, above it.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar. Where standard error is no screen there are only the lines.
    pub fn new() -> Bar {
        let bar = ProgressBar::new(0);
        // A mistake in the template would only cost the looks.
        if let Ok(style) = ProgressStyle::with_template(LOOK) {
            bar.set_style(style);
        }
        Bar(bar)
    }

    fn line(&self, text: &str) {
        if self.0.is_hidden() {
            eprintln!("{text}");
        } else {
            self.0.println(text);
        }
    }
}

impl Default for Bar {
    fn default() -> Bar {
        Bar::new()
    }
}

impl Progress for Bar {
    fn started(&self, terminals: usize) {
        self.0.set_length(terminals as u64);
        self.0.enable_steady_tick(TICK);
    }

    fn collected(&self, _: &Target, device: &Device, fingerprint: &str) {
        self.line(&format!("{}  fingerprint {fingerprint}", device.sn()));
        self.0.inc(1);
    }

    fn again(&self, target: &Target, why: &CollectFault) {
        self.line(&format!("{target}  {why}; asking again"));
    }

    fn failed(&self, terminal: &FailedTerminal) {
        self.line(&terminal.to_string());
        self.0.inc(1);
    }

    fn withdrawn(&self, terminal: &FailedTerminal) {
        self.line(&terminal.to_string());
    }

    fn finished(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_looks_as_meant() {
        ProgressStyle::with_template(LOOK).unwrap();
    }

    #[test]
    fn a_bar_nobody_sees_still_counts() {
        let bar = Bar::new();
        bar.started(2);
        bar.finished();
        assert_eq!(bar.0.length(), Some(2));
    }
}
