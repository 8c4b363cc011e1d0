//! What nobody may overlook.

use super::super::Place;

/// A message over everything else, until a person confirms that it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Stop {
    /// One word.
    pub(in super::super) word: &'static str,
    /// What happened.
    pub(in super::super) what: String,
    /// What follows from it, and what to do.
    pub(in super::super) then: String,
}

impl Stop {
    /// A card is no longer there, or no longer good.
    pub(super) fn card(place: Place, why: &CardGone, run: Option<(usize, usize)>) -> Stop {
        let word = place.word().to_uppercase();
        let what = match why {
            CardGone::PulledOut => format!("THE {word} CARD WAS PULLED OUT"),
            CardGone::Another => format!("ANOTHER CARD IS IN THE {word} CARD'S PLACE"),
            CardGone::Refused(reason) => format!("THE {word} CARD IS REFUSED: {reason}"),
        };
        let run = run.map_or(String::new(), |(answered, total)| {
            format!(
                "Collecting has stopped. {answered} of {total} terminals had answered; no other is asked. "
            )
        });
        let next = match why {
            CardGone::Refused(_) => "Ask the CA about the card.",
            _ => "Put the card back to go on.",
        };
        let then = format!("{run}Both cards' keys are forgotten. {next} Both PINs will be asked again.");
        Stop { word: "STOP", what, then }
    }

    /// The KMS has something else than what was collected.
    pub(super) fn alarm(what: String) -> Stop {
        let then = "Do not deploy this terminal before you know why. Tell the people of the KMS.".to_owned();
        Stop { word: "ALARM", what, then }
    }
}

/// Why a card no longer counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CardGone {
    PulledOut,
    Another,
    Refused(String),
}

impl CardGone {
    /// In a line, where nothing was open that had to stop.
    pub(super) fn said(&self, place: Place) -> String {
        let word = place.word();
        match self {
            CardGone::PulledOut => format!("The {word} card was pulled out."),
            CardGone::Another => format!("Another card is in the {word} card's place."),
            CardGone::Refused(reason) => format!("The {word} card is refused: {reason}"),
        }
    }
}
