//! What can be broken on purpose, to see that the exploration notices.

/// One rule that a party breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The HSM gives a key without looking at Crnd2.
    ReleaseWithoutProof,
    /// The store takes a second pending key into a slot.
    TwoPending,
    /// A key is active as soon as it was sent.
    ActiveWhenSent,
    /// HSM and store let keys of one slot share a check value.
    SharedCheckValues,
    /// HSM and store use the check value of a dropped key again (`docs/model.md`).
    ForgetDropped,
    /// The HSM makes the same key for every terminal.
    OneKeyForAll,
    /// A pending key is not sent again.
    NoResend,
    /// The PIN pad gives up the key before at DONE, which nobody authenticates.
    DropPreviousAtDone,
    /// The PIN pad gives up the key before when it takes the next one.
    DropPreviousAtKey,
    /// The PIN pad writes the key at DONE only, when KEY_CONFIRM has long left.
    KeepAtDone,
    /// The PIN pad does not compare a block's context with what was said.
    IgnoreContext,
}
