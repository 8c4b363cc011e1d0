//! The requirements of 4-requirements.md that this HSM answers: a file each, a test's name begins with the number.
//!
//! R4 and R8 are the policy's own tables ([`crate::policy_tests`]), R26 the duties' ([`crate::duty`]), R44 the self-tests'
//! ([`crate::self_test`]); of the others what concerns more than one command is here. What is seen of the HSM's process
//! from outside (R2, R18) and of components (R15) is in `tests/`.

mod conjuring;
mod error_state;
mod errors;
mod every_command;
mod key_checks;
mod pins;
mod random;
mod strength;
mod unique_keys;
mod weak_keys;

use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};

/// A key block of another system under a key in clear.
struct Foreign<'a> {
    version: Version,
    usage: &'a str,
    algorithm: Algorithm,
    mode: Mode,
    optional: Option<(&'a str, &'a str)>,
}

impl Foreign<'_> {
    fn wrap(&self, under: &[u8], key: &[u8]) -> String {
        let usage = Usage::parse(self.usage).unwrap();
        let exportability = Exportability::NOT_EXPORTABLE;
        let bare = Header::new(self.version, usage, self.algorithm, self.mode, exportability);
        let header = match self.optional {
            Some((id, text)) => bare.with_optional(id, text).unwrap(),
            None => bare,
        };
        Kbpk::new(self.version, under).unwrap().wrap(&header, key).unwrap()
    }
}
