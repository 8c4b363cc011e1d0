//! Batches that a KMS refuses as a whole: nothing of them is stored there; they stay here and are sent again.

/// With these a KMS refuses the card that signed, and nothing else of a batch.
const OF_THE_CARD: [&str; 2] = ["card-refused", "card-revoked"];
/// With these it refuses the order.
const OF_THE_ORDER: &str = "wrong-order";
/// With these it refuses what stands in one batch, and says nothing about the next.
const OF_ITS_CONTENT: [&str; 3] = ["bad-content", "serial-twice", "http-413"];
/// Longest text of a KMS that is shown or kept, in characters.
const MAX_TEXT: usize = 256;
/// Longest code of a KMS, in characters; the longest that is known has 22.
const MAX_CODE: usize = 64;

/// A batch that a KMS refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedBatch {
    /// The store's number for it.
    pub id: i64,
    /// SHA-256 of its content, lower-case hex: what the KMS's log and its receipts call it.
    pub digest: String,
    /// Whose KMS.
    pub partner: String,
    /// How many terminals it has.
    pub terminals: usize,
    /// The KMS's code; `http-…` with the status where it gave none. Under no MAC.
    pub code: String,
    /// What it says to people. Under no MAC.
    pub text: String,
}

impl RefusedBatch {
    /// What people read: the batch by name, the KMS's code and text, and what to do.
    #[must_use]
    pub fn told(&self) -> String {
        let Self { id, digest, partner, terminals, code, text } = self;
        let advice = advice(code);
        format!(
            "{partner}'s KMS refuses batch {id} ({code}) as a whole, with its {terminals} terminals: {text}{advice}. The \
             batch stays in the database; run mtms dispatch again. There it is called {digest}"
        )
    }

    /// Whether every further batch of the order would be refused for the same reason, so that none is made: what is in a
    /// batch once leaves in that batch or never. One that waited may have been made under a MAK that was replaced since, or
    /// be damaged; one that was made just now stands for the next.
    pub(crate) fn ends_packing(&self, was_waiting: bool) -> bool {
        let code = self.code.as_str();
        let whatever_is_sent = is_of_the_card(code) || code == OF_THE_ORDER;
        whatever_is_sent || !(was_waiting || OF_ITS_CONTENT.contains(&code))
    }
}

/// Whether a refusal is of the card that signed.
pub(crate) fn is_of_the_card(code: &str) -> bool {
    OF_THE_CARD.contains(&code)
}

/// A KMS's text for people: cut, and without what would move the cursor or hide a line.
pub(crate) fn text(said: &str) -> String {
    plain(said, MAX_TEXT)
}

/// A KMS's code, likewise.
pub(crate) fn code(said: &str) -> String {
    plain(said, MAX_CODE)
}

fn plain(said: &str, most: usize) -> String {
    said.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// What to do about a refusal of the whole batch.
fn advice(code: &str) -> &'static str {
    match code {
        "wrong-mac" => {
            ". MAK differs at the two ends, or was agreed anew since: compare check values, and put the old keys back \
             until this batch is answered"
        }
        "wrong-order" => ". Ask the buyer to enter the order, or whether it is closed there",
        "card-refused" | "card-revoked" => {
            ". The KMS does not believe the card: compare roots and lists, or dispatch with another card, which signs the \
             batch anew"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> RefusedBatch {
        let (digest, partner, text) = ("0a".repeat(32), "BANK".to_owned(), "no".to_owned());
        RefusedBatch { id: 3, digest, partner, terminals: 7, code: code.into(), text }
    }

    #[test]
    fn only_what_concerns_the_next_batch_too_ends_packing() {
        for (code, waiting, new) in [
            ("card-refused", true, true),
            ("card-revoked", true, true),
            ("wrong-order", true, true),
            ("wrong-mac", false, true),
            ("bad-signature", false, true),
            ("http-502", false, true),
            ("bad-content", false, false),
            ("serial-twice", false, false),
            ("http-413", false, false),
        ] {
            let refused = refused(code);
            assert_eq!((refused.ends_packing(true), refused.ends_packing(false)), (waiting, new), "{code}");
        }
    }

    #[test]
    fn a_refused_batch_is_told_by_name_with_what_to_do() {
        let told = refused("wrong-mac").told();
        for wanted in
            ["batch 3 (wrong-mac)", "7 terminals", "compare check values", "run mtms dispatch again", "0a0a"]
        {
            assert!(told.contains(wanted), "{wanted}: {told}");
        }
        assert!(!told.contains("upload"), "{told}");
    }

    #[test]
    fn what_a_kms_says_is_cut_and_moves_no_cursor() {
        assert_eq!(code("a\u{1B}[2Jb\n"), "a[2Jb");
        assert_eq!(code(&"x".repeat(1000)).len(), MAX_CODE);
        assert_eq!(text(&"é".repeat(1000)).chars().count(), MAX_TEXT);
    }
}
