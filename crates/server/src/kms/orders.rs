//! Production orders (1-systems.md D): an operator and an administrator sign which terminals a vendor makes for which
//! acquirer. The same document goes to the vendor's MTMS, which then collects for it, and to the buyer's KMS, which then
//! takes the vendor's batches for it.

use std::net::IpAddr;

use batch::{BatchError, Close, NewOrder, Order};
use hsm::Hsm;
use serde_json::json;
use store::{OrderOutcome, Store};

use super::{
    Failure, Kms, event,
    package::{Authentic, UploadRefusal},
};

/// What these uploads are called in the audit.
const WHAT: &str = "order";

/// Why an order is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderRefusal {
    #[error("{0}")]
    Upload(#[from] UploadRefusal),
    #[error("the order is not this server's: {0}")]
    NotOurs(String),
    #[error("there is another order {0}, or it is closed; each order has a name of its own")]
    Exists(String),
    #[error("serial {sn} stands in order {order}, which is open: close that one first")]
    SerialTaken { sn: String, order: String },
    #[error("no order {0} is open that could be closed")]
    NotOpen(String),
}

impl OrderRefusal {
    /// A code for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Upload(refusal) => refusal.code(),
            Self::NotOurs(_) => "not-ours",
            Self::Exists(_) => "order-exists",
            Self::SerialTaken { .. } => "serial-taken",
            Self::NotOpen(_) => "order-not-open",
        }
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Enters or closes an order as two people signed it. Says what was done.
    pub(crate) async fn take_order(&self, package: &[u8], source: IpAddr) -> Result<String, OrderRefusal> {
        let signed = self.authenticate_both(WHAT, package, source)?;
        let order = Order::read(signed.content()).map_err(|error| match error {
            // Whichever it is, it is a defect of what was signed.
            BatchError::SerialTwice(sn) => UploadRefusal::Content(format!("serial {sn} stands twice in it")),
            error => UploadRefusal::Content(error.to_string()),
        });
        let subject = match &order {
            Ok(order) => order.name().to_owned(),
            Err(_) => signed.digest_hex(),
        };
        let done = match order {
            Ok(Order::Order(new)) => self.enter_order(package, &signed, new).await,
            Ok(Order::Close(close)) => self.close_order(&signed, close).await,
            Err(refusal) => Err(refusal.into()),
        };
        if let Err(refusal) = &done
            && !matches!(refusal, OrderRefusal::Upload(refusal) if refusal.is_failure())
        {
            let why = (refusal.code(), refusal.to_string());
            self.audit_refused("order.refused", &signed, subject, why).await?;
        }
        done
    }

    async fn enter_order(
        &self,
        package: &[u8],
        signed: &Authentic,
        order: NewOrder,
    ) -> Result<String, OrderRefusal> {
        self.is_ours(&order)?;
        let serials = order.serials().map_err(|error| UploadRefusal::Content(error.to_string()))?;
        let approved_by = signed.second.clone().ok_or(UploadRefusal::SamePerson)?;
        let detail = json!({
            "vendor": order.vendor,
            "buyer": order.buyer,
            "model": order.model,
            "asked_by": signed.signer.subject,
            "asked_by_card": signed.signer.certificate_serial,
            "approved_by_card": approved_by.certificate_serial,
            "package": signed.digest_hex(),
        });
        let event = event("order.added", approved_by.subject.as_str(), order.order.as_str(), detail);
        let listed = serials.as_ref().map(Vec::len);
        let new = store::NewOrder {
            order: order.order.clone(),
            vendor: order.vendor,
            buyer: order.buyer,
            model: order.model,
            serials,
            package: package.to_vec(),
            asked_by: signed.signer.clone(),
            approved_by,
        };
        let name = order.order;
        match self.store.put_order(new, event).await.map_err(stored)? {
            OrderOutcome::Added => Ok(match listed {
                Some(listed) => format!("order {name} is open; it lists {listed} terminals"),
                None => format!("order {name} is open; it takes any terminal of its vendor's batches"),
            }),
            OrderOutcome::Same => Ok(format!("order {name} is open already; nothing changed")),
            OrderOutcome::Exists => Err(OrderRefusal::Exists(name)),
            OrderOutcome::SerialTaken { sn, order } => {
                Err(OrderRefusal::SerialTaken { sn: sn.to_string(), order })
            }
        }
    }

    /// At an MTMS the vendor is this server's own name and the buyer a partner; at a KMS it is the other way round.
    fn is_ours(&self, order: &NewOrder) -> Result<(), OrderRefusal> {
        let own = &self.acquirer.id;
        let (ours, ours_is, other, other_is) = if self.is_mtms() {
            (&order.vendor, "vendor", &order.buyer, "buyer")
        } else {
            (&order.buyer, "buyer", &order.vendor, "vendor")
        };
        if ours != own {
            return Err(OrderRefusal::NotOurs(format!("its {ours_is} is {ours}, and this is {own}")));
        }
        if !self.exchange.knows(other) {
            return Err(OrderRefusal::NotOurs(format!(
                "its {other_is} {other} is none of [[partners]]; agree keys with it first"
            )));
        }
        if self.is_mtms() && order.serials.is_none() {
            let text = "an MTMS collects what is listed: the order must list its serials";
            return Err(UploadRefusal::Content(text.into()).into());
        }
        Ok(())
    }

    async fn close_order(&self, signed: &Authentic, close: Close) -> Result<String, OrderRefusal> {
        let approved_by = signed.second.clone().ok_or(UploadRefusal::SamePerson)?;
        let detail = json!({
            "asked_by": signed.signer.subject,
            "asked_by_card": signed.signer.certificate_serial,
            "approved_by_card": approved_by.certificate_serial,
            "package": signed.digest_hex(),
        });
        let event = event("order.closed", approved_by.subject.as_str(), close.order.as_str(), detail);
        if self.store.close_order(&close.order, event).await.map_err(stored)? {
            Ok(format!("order {} is closed: nothing more is taken for it", close.order))
        } else {
            Err(OrderRefusal::NotOpen(close.order))
        }
    }
}

fn stored(error: store::StoreError) -> OrderRefusal {
    UploadRefusal::from(Failure::from(error)).into()
}
