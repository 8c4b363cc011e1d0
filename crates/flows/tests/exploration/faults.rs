//! What can be broken on purpose, to see that the exploration notices.

/// One rule that a party breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The HSM gives a key without looking at Crnd2 or MAC_T.
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
    /// The PIN pad gives up the key before at DONE, which nobody authenticates in suite 01.
    DropPreviousAtDone,
    /// The PIN pad gives up the key before when it takes the next one.
    DropPreviousAtKey,
    /// The PIN pad writes the key at DONE only, when KEY_CONFIRM has long left.
    KeepAtDone,
    /// The PIN pad does not compare the context of a TMK's block with what was said.
    IgnoreContext,
    /// The PIN pad does not compare the contexts of working keys.
    IgnoreWorkingContext,
    /// The host does not look at the MAC of SIGN_IN_CONFIRM.
    SignInWithoutProof,
    /// The PIN pad does not look at the MAC of a sign-in's DONE.
    AnySignInDone,
    /// The PIN pad answers without looking at MAC_S.
    AnswerWithoutProof,
    /// The HSM does not look at KEY_CONFIRM's receipt.
    AnyReceipt,
    /// The PIN pad does not look at DONE's receipt.
    AnyDone,
    /// Blocks travel under a key that comes of TK alone.
    KeyOfNoSession,
    /// The ephemeral keys are exchanged, and nothing is made of them.
    NoAgreement,
    /// All proofs and receipts of a run are made with one key.
    OneKeyForEveryPurpose,
    /// The PIN pad takes whatever load counter.
    IgnoreCounter,
    /// The store takes a load counter that it has had.
    CounterAgain,
    /// The store keeps a load counter with a new key and none with one that is sent again.
    ResendUncounted,
    /// The store does not keep load counters.
    NoCounters,
}

/// The rules that all parties keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    broken: [Option<Fault>; 2],
    /// How far above the last one a load counter may be.
    pub(crate) ahead: u8,
}

impl Rules {
    /// All of them, with counters that no exploration outruns (the product's limit is 65 536).
    pub(crate) const KEPT: Rules = Rules { broken: [None; 2], ahead: 100 };

    /// All but these, at most two.
    pub(crate) fn without(faults: &[Fault]) -> Rules {
        assert!(faults.len() <= 2, "more than two at once");
        Rules { broken: [faults.first().copied(), faults.get(1).copied()], ..Rules::KEPT }
    }

    /// The same with another limit of load counters.
    pub(crate) fn with_counters_up_to(self, ahead: u8) -> Rules {
        Rules { ahead, ..self }
    }

    /// Whether this one is broken.
    pub(crate) fn has(self, fault: Fault) -> bool {
        self.broken.contains(&Some(fault))
    }
}
