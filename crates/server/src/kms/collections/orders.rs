//! At an MTMS: a terminal is collected for the open order that lists it, and is of the model that was ordered. At a KMS
//! there is nothing to ask.

use std::collections::HashMap;

use hsm::Hsm;
use store::{Listed, Refusal, Store};
use wire::Serial;

use super::refusal;
use crate::kms::{Failure, Kms};

/// The open orders of some terminals; none are asked for at a KMS.
pub(crate) struct OpenOrders(Option<HashMap<Serial, Listed>>);

impl<S: Store, H: Hsm> Kms<S, H> {
    /// The open orders that list these serials.
    pub(crate) async fn orders_for(&self, serials: Vec<Serial>) -> Result<OpenOrders, Failure> {
        if !self.is_mtms() {
            return Ok(OpenOrders(None));
        }
        let listed = self.store.orders_listing(serials).await?;
        Ok(OpenOrders(Some(listed.into_iter().map(|listed| (listed.sn.clone(), listed)).collect())))
    }
}

impl OpenOrders {
    /// Whether a terminal of this model may be collected here.
    pub(crate) fn allow(&self, sn: &Serial, model: Option<&str>) -> Result<(), Refusal> {
        let Some(orders) = &self.0 else { return Ok(()) };
        let Some(listed) = orders.get(sn) else {
            return Err(refusal("not-in-order", "no open order lists this serial"));
        };
        match model {
            Some(model) if model != listed.model => {
                let text =
                    format!("order {} is for model {}, and this is a {model}", listed.order, listed.model);
                Err(refusal("wrong-model", &text))
            }
            // A terminal need not tell its model (DF31).
            _ => Ok(()),
        }
    }
}
