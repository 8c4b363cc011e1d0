//! Production orders: an operator and an administrator sign which terminals a vendor makes for which acquirer, or that an
//! order is over. The same document goes to the vendor's MTMS and to the buyer's KMS.

use serde::Deserialize;

use crate::{BothCards, Error, Server, clock, http::Answer, text::printable};

const ORDERS: &str = "/v1/orders";

#[derive(Deserialize)]
struct Said {
    text: String,
}

/// Signs an order's content with both cards and gives it to a server. Gives what the server says.
///
/// # Errors
/// What [`BothCards::check`] says; [`Error::Signing`]; the server's refusals, [`Error::AnswerMalformed`].
pub fn give_order(content: &[u8], server: &Server, cards: &BothCards) -> Result<String, Error> {
    let answer = server.post_cms(ORDERS, &cards.sign_by_both(content, clock::now())?)?;
    if answer.status != 200 {
        return Err(refusal(&answer));
    }
    let said: Said = serde_json::from_slice(&answer.body)
        .map_err(|error| Error::AnswerMalformed { why: printable(&error.to_string()) })?;
    Ok(printable(&said.text))
}

/// A conflict of orders is one with another order, not with a replacement.
fn refusal(answer: &Answer) -> Error {
    match answer.status {
        409 => Error::OrderConflict { text: answer.text() },
        _ => answer.refusal(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_that_another_order_lists_is_told_of_without_replacements() {
        let said =
            r#"{"error":{"code":"serial-taken","text":"serial SN-1 stands in order PO-1, which is open"}}"#;
        let told = refusal(&Answer { status: 409, body: said.into() }).to_string();
        assert!(told.contains("SN-1 stands in order PO-1") && !told.contains("replacement"), "{told}");
        let told = refusal(&Answer { status: 403, body: Vec::new() });
        assert!(matches!(told, Error::Forbidden { .. }), "{told}");
    }
}
