//! What `paycrypto` must do, by other people's vectors (`vectors/external/`), by the worked values of
//! `vectors/tdes-suite.json` and `vectors/ec-suite.json`, and by what it must refuse.

#[cfg(test)]
mod block_refusals;
#[cfg(test)]
mod blocks;
#[cfg(test)]
mod ec_blocks;
#[cfg(test)]
mod ec_keys;
#[cfg(test)]
mod ec_worked;
#[cfg(test)]
mod generation;
#[cfg(test)]
mod hygiene;
#[cfg(test)]
mod macs;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod rks;
#[cfg(test)]
mod rsa;
#[cfg(test)]
mod seal;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tdes_aes;
#[cfg(test)]
mod tk;
#[cfg(test)]
mod worked_flows;
