//! The product's terminal and the product's server in suite 02, and a tester on the line between them.

use std::os::unix::net::UnixStream;

use serde_json::json;
use terminal::{Link, Terminal, TrustedRoot, collect, rks_load, sign_in, tms};

use super::{
    block::Block,
    peer::{SLOT_A, SLOT_C, SLOT_E, SN, certified, collect_frame, new_terminal},
    victim::{Carrier, Victim},
};
use crate::play::{against, slot};
use crate::support::{
    kms_ec::{self, Ec, KMS_EC, STATION, by_both, ceremony, package},
    line::connect,
    rks_ec::{self, EcDevice},
    shop::Shop,
    tlv::Message,
    tms::{MODEL, VENDOR},
    tms_ec::EcPos,
    world::Options,
};

/// A server that knows this terminal in every flow.
pub(crate) struct Product {
    pub(crate) shop: Shop,
    pub(crate) terminal: Terminal,
}

/// The flows in which the terminal asks the server for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Kms,
    Rks,
    Tms,
    Host,
}

pub(crate) const FLOWS: [Flow; 4] = [Flow::Kms, Flow::Rks, Flow::Tms, Flow::Host];

/// What the tester makes of a message: its direction (true to the terminal) and number, and the message. What he gives is
/// sent on; nothing closes the line.
pub(crate) type Meddle<'a> = &'a mut dyn FnMut(bool, usize, &Message) -> Option<Vec<u8>>;

impl Product {
    pub(crate) fn new() -> Product {
        Product::with("")
    }

    /// With more of `[tms]`.
    pub(crate) fn with(tms: &str) -> Product {
        let options = Options {
            suite_02: true,
            more: format!("[tms]\n{tms}\n"),
            idle_seconds: 3,
            ..Options::default()
        };
        let shop = Shop::with_options(&[], &options);
        kms_ec::install(&shop.server);
        rks_ec::install(&shop.server);
        let mut new = new_terminal();
        new.roots.push(TrustedRoot::of_vendor(shop.maker.root.clone()));
        let mut terminal = certified(new);

        let nonce = ceremony(&shop.server, STATION);
        let asked = collect_frame(&KMS_EC.work, nonce[..].try_into().unwrap());
        let answer = collect::answer(&mut terminal, &asked).unwrap();
        let mut entry = Ec::new(SN).entry_of(answer.frame.payload());
        (entry["vendor"], entry["model"]) = (json!(VENDOR), json!(MODEL));
        shop.server.collect_raw(&by_both(&package(&nonce, &[entry])));

        let (device, pos) = (EcDevice::new(SN), EcPos::new(SN));
        let mut entry = device.entry();
        entry["keys"].as_array_mut().unwrap().extend(pos.entry()["keys"].as_array().unwrap().clone());
        rks_ec::take(&shop.server, &rks_ec::report("run-of-the-product", &[entry]));
        let mut victim = Victim::holding(terminal);
        victim.dmk = pos.dmk[..].try_into().unwrap();
        victim.dik2 = device.dik2[..].try_into().unwrap();
        victim.factor = device.factor;
        victim.deliver(Carrier::BDmk, &Block::wrap).unwrap();
        victim.deliver(Carrier::BDik2, &Block::wrap).unwrap();
        Product { shop, terminal: victim.terminal }
    }

    /// One run of a flow; whether the terminal is content.
    pub(crate) fn run(&mut self, flow: Flow) -> bool {
        self.run_with(flow, &mut |_, _, message| Some(message.frame.clone()))
    }

    /// One run with somebody on the line.
    pub(crate) fn run_with(&mut self, flow: Flow, meddle: Meddle<'_>) -> bool {
        let (terminal, address) = (&mut self.terminal, self.shop.server.terminals);
        let act = |stream: UnixStream| match flow {
            Flow::Kms => terminal::download(terminal, stream, slot(SLOT_A)).is_ok(),
            Flow::Rks => rks_load(terminal, Link::new(stream), &[slot(SLOT_C)]).is_ok(),
            Flow::Tms => tms::load_key(terminal, Link::new(stream), slot(SLOT_E), None).is_ok(),
            Flow::Host => {
                let newest = sign_in::Tmk::Newest;
                sign_in::sign_in_over(terminal, Link::new(stream), slot(SLOT_A), newest).is_ok()
            }
        };
        let (content, ()) = against(act, |line| {
            let mut up = connect(address);
            for number in 0.. {
                let Some(said) = line.receive() else { break };
                let Some(frame) = meddle(false, number, &said) else { break };
                up.try_send(&frame);
                let Some(answer) = up.receive() else { break };
                let Some(frame) = meddle(true, number, &answer) else { break };
                line.try_send(&frame);
            }
        });
        content
    }

    /// Check values of the terminal's slots.
    pub(crate) fn held(&self, index: u8) -> Vec<String> {
        let slots = self.terminal.status().slots;
        let held = slots.into_iter().filter(|held| held.slot == index);
        held.flat_map(|held| [Some(held.kcv), held.previous_kcv]).flatten().collect()
    }

    /// Both ends have a key of every slot in common, and the audit is whole.
    pub(crate) fn assert_agreed(&self) {
        for index in [SLOT_A, SLOT_C, SLOT_E] {
            let held = self.held(index);
            let known = ["active", "pending"].map(|state| self.shop.world.keys(SN, index, state)).concat();
            assert!(
                held.is_empty() || held.iter().any(|kcv| known.contains(kcv)),
                "slot {index}: {held:?} and {known:?}"
            );
        }
        self.shop.world.assert_audit_good();
    }
}
