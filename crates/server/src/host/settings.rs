//! `[host]` and `[posp]` of the configuration file.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;

/// The largest body of a POSP's request in MiB.
const MAX_BODY_MIB: usize = 16;
/// The longest age of working keys that a policy may set, in hours: a year.
const MAX_AGE_HOURS: u32 = 8_784;

/// `[host]`: sign-in and working keys. Every setting has a default, so the section may be left out.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Bytes of a PIK of suite 01, 16 or 24. One of suite 02 has 16.
    #[serde(default = "default_pik_length")]
    pub pik_length: u8,
    /// Whether a track key comes with PIK and MAK.
    #[serde(default)]
    pub tdk: bool,
    /// Hours after which working keys are not used any more until the terminal signs in again; 0 sets no limit.
    #[serde(default = "default_max_age")]
    pub max_age_hours: u32,
    /// PIN blocks, or MACs, for which one working key is used at most; 0 leaves it at 1 048 576, which is the most that
    /// any key is used. Uses reach the store once a
    /// second: several servers of an estate may go past the limit by what one second brings.
    #[serde(default)]
    pub max_uses: u64,
    /// Wrong PIN blocks of one PIK, after which it is stopped and only a new sign-in brings another; 0 sets no limit.
    /// Each server of an estate counts for itself and begins anew with each start.
    #[serde(default = "default_wrong_blocks")]
    pub max_wrong_pin_blocks: u32,
}

/// `[posp]`: where acquirer's POS hosts connect, with certificates of their own. Its server certificate is that of
/// `[https]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posp {
    /// Address and port.
    pub listen: SocketAddr,
    /// The root that issues the POSPs' certificates, PEM. Its revocation list is one of `trust.crls`.
    pub client_root: PathBuf,
    /// Common names of the certificates that are served; others of the same root are refused.
    pub clients: Vec<String>,
    /// The largest request in MiB.
    #[serde(default = "default_body")]
    pub max_body_mib: usize,
    /// Requests of one client that are worked on at once; more wait for a second and are then answered 429.
    #[serde(default = "default_requests")]
    pub max_requests_per_client: usize,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            pik_length: default_pik_length(),
            tdk: false,
            max_age_hours: default_max_age(),
            max_uses: 0,
            max_wrong_pin_blocks: default_wrong_blocks(),
        }
    }
}

impl Host {
    /// The setting that is out of its range, and its range.
    pub(crate) fn check(self) -> Result<(), (&'static str, &'static str)> {
        if ![16, 24].contains(&self.pik_length) {
            return Err(("host.pik_length", "must be 16 or 24"));
        }
        if self.max_age_hours > MAX_AGE_HOURS {
            return Err(("host.max_age_hours", "must be 0 (no limit) to 8784, a year"));
        }
        Ok(())
    }
}

impl Posp {
    /// The setting that is out of its range, and its range.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.clients.is_empty() || self.clients.iter().any(String::is_empty) {
            return Err(("posp.clients", "must name the common name of at least one client certificate"));
        }
        if !(1..=MAX_BODY_MIB).contains(&self.max_body_mib) {
            return Err(("posp.max_body_mib", "must be 1 to 16"));
        }
        if self.max_requests_per_client == 0 {
            return Err(("posp.max_requests_per_client", "must be at least 1"));
        }
        Ok(())
    }
}

fn default_pik_length() -> u8 {
    24
}

fn default_max_age() -> u32 {
    24
}

/// Few, since honest ones are none: what one answer tells about a PIN is little, and it takes several for a digit.
fn default_wrong_blocks() -> u32 {
    10
}

fn default_body() -> usize {
    2
}

fn default_requests() -> usize {
    32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let good = Host::default();
        assert_eq!(good.check(), Ok(()));
        assert_eq!(good.max_wrong_pin_blocks, toml::from_str::<Host>("").unwrap().max_wrong_pin_blocks);
        let name = |host: Host| host.check().unwrap_err().0;
        assert_eq!(name(Host { pik_length: 8, ..good }), "host.pik_length");
        assert_eq!(name(Host { max_age_hours: 8_785, ..good }), "host.max_age_hours");
        assert_eq!(Host { max_age_hours: 8_784, ..good }.check(), Ok(()));

        let posp = |change: &dyn Fn(&mut Posp)| {
            let mut posp: Posp =
                toml::from_str("listen = \"127.0.0.1:0\"\nclient_root = \"r\"\nclients = [\"posp-1\"]")
                    .unwrap();
            change(&mut posp);
            posp.check().map_err(|(name, _)| name)
        };
        assert_eq!(posp(&|_| ()), Ok(()));
        assert_eq!(posp(&|posp| posp.clients.clear()), Err("posp.clients"));
        assert_eq!(posp(&|posp| posp.clients.push(String::new())), Err("posp.clients"));
        assert_eq!(posp(&|posp| posp.max_body_mib = 17), Err("posp.max_body_mib"));
        assert_eq!(posp(&|posp| posp.max_requests_per_client = 0), Err("posp.max_requests_per_client"));
    }
}
