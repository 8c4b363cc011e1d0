//! Its part of certifying the device key: a request for it, and its certificate (3-hardened.md, "Primitives").

use flows::PadRefusal;
use flows::device_certificate::{DevicePad, InstallRefusal};
use pki::Certificate;

use super::device_key::DeviceKey;
use super::{Denied, SoftPad};

impl SoftPad {
    /// Sensors, and the states in which a device key is certified.
    fn may_be_certified(&mut self) -> Result<(), Denied> {
        self.guard()?;
        let state = self.state.life_cycle;
        if state.may_make_tk() {
            return Ok(());
        }
        let why = format!("the terminal is {state}; its device key is certified in production or repair");
        Err(self.deny("life-cycle", &state.to_string(), &why))
    }
}

impl DevicePad for SoftPad {
    fn device_request(&mut self) -> Result<Vec<u8>, PadRefusal> {
        self.may_be_certified()?;
        if self.state.device_key.is_none() {
            // One from before there were device keys, or that was wiped after tampering and then repaired.
            let key = DeviceKey::generate().map_err(Denied::from)?;
            self.change(|state| state.device_key = Some(key)).map_err(Denied::from)?;
        }
        let failed = |why: String| PadRefusal::Failed { why };
        let key = self.state.device_key.as_ref().ok_or_else(|| failed("there is no device key".into()))?;
        key.request(&self.state.serial).map_err(|error| failed(error.to_string()))
    }

    /// The intermediates are not kept: no message has a place for them.
    fn install_device_certificate(&mut self, leaf: &[u8], _: &[Vec<u8>]) -> Result<(), InstallRefusal> {
        self.may_be_certified().map_err(PadRefusal::from)?;
        let installed = match Certificate::from_der(leaf) {
            Ok(certificate) => {
                let mut installed =
                    Err("the PIN pad has no device key: ask for its request first".to_owned());
                self.change(|state| {
                    if let Some(key) = &mut state.device_key {
                        installed = key.certified(&certificate, &state.serial);
                    }
                })
                .map_err(|error| PadRefusal::from(Denied::from(error)))?;
                installed
            }
            Err(error) => Err(error.to_string()),
        };
        installed.map_err(|why| {
            self.deny("device-certificate", "another's", &why);
            InstallRefusal::Certificate { why }
        })
    }
}
