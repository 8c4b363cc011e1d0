//! What a TMS takes in the sealed phase. The driver opens and seals with the HSM and answers from store and
//! repository.

use alloc::{string::ToString, vec::Vec};

use wire::{Frame, MessageType};

use super::{
    Fault, Reason,
    messages::{Data, Done, Get, Inventory, Plan, Report},
};
use crate::Suite;

/// What a terminal asks. It may ask in any order and as often as it likes: after a cut it goes on with TMS_GET, without
/// an inventory before it in this session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// TMS_INVENTORY, answered by [`Inventory::answer`].
    Inventory(Inventory),
    /// TMS_GET, answered by [`Get::answer`].
    Get(Get),
    /// TMS_REPORT, answered by [`Report::answer`].
    Report(Report),
}

impl Request {
    /// Reads an inner payload that the HSM opened.
    ///
    /// # Errors
    /// 0002; 0003 for any other message; the terminal's ERROR.
    pub fn read<S: Suite>(inner: &[u8]) -> Result<Request, Fault> {
        let kind = Frame::from_payload(inner).and_then(|frame| frame.kind())?;
        Ok(match kind {
            MessageType::TmsInventory => Request::Inventory(Inventory::from_payload::<S>(inner)?),
            MessageType::TmsReport => Request::Report(Report::from_payload::<S>(inner)?),
            // Any other type is then what came where a request was expected.
            _ => Request::Get(Get::from_payload::<S>(inner)?),
        })
    }
}

impl Inventory {
    /// The inner payload of TMS_PLAN.
    ///
    /// # Errors
    /// 0001 for a plan that does not fit; see [`Plan::fitting`].
    pub fn answer(&self, plan: &Plan) -> Result<Vec<u8>, Fault> {
        Ok(plan.to_payload()?)
    }
}

impl Get {
    /// How many bytes of a package of this size are to be read from the offset: those wanted, or what is left.
    ///
    /// # Errors
    /// [`Reason::PastTheEnd`] (0008) when nothing is left.
    pub fn length(&self, size: u64) -> Result<u32, Fault> {
        let left = size.saturating_sub(self.offset);
        if left == 0 {
            return Err(Reason::PastTheEnd { offset: self.offset, size }.into());
        }
        Ok(u32::try_from(left).map_or(self.wanted, |left| left.min(self.wanted)))
    }

    /// The inner payload of TMS_DATA with these bytes of a package of this size.
    ///
    /// # Errors
    /// 0001 when the bytes are not exactly as many as [`Get::length`] says.
    pub fn answer(self, size: u64, data: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let expected = self.length(size)?;
        if u32::try_from(data.len()) != Ok(expected) {
            return Err(Reason::Internal { why: "the repository gave another length".to_string() }.into());
        }
        let Get { name, version, offset, wanted: _ } = self;
        Ok(Data { name, version, offset, data }.to_payload()?)
    }

    /// That the terminal is not offered this package: 0008.
    pub fn not_offered(self) -> Fault {
        Reason::NotOffered { name: self.name, version: self.version }.into()
    }
}

impl Report {
    /// The inner payload of DONE.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn answer(&self) -> Result<Vec<u8>, Fault> {
        Ok(Done.to_payload()?)
    }
}
