//! Acquirers that buy, as `[[partners]]` has them.

use std::{fs, sync::Arc};

use anyhow::{Context as _, Result, bail};
use mtms::{Kms, Partner};
use server::Config;
use station::{Server, ServerSettings};

/// What the KMS's log knows an MTMS by.
const AGENT: &str = concat!("keyferry-mtms/", env!("CARGO_PKG_VERSION"));

/// The keys and the KMS of an order's buyer: once for each suite in which keys were agreed with it.
pub(super) fn of_buyer(config: &Config, buyer: &str) -> Result<Vec<Partner>> {
    let agreed = server::partners::partners(config)?.into_iter().filter(|partner| partner.name == buyer);
    let partners = agreed.map(reach).collect::<Result<Vec<_>>>()?;
    if partners.is_empty() {
        bail!(
            "there is no [[partners]] of the name {buyer}; agree keys with it (keyferry hsm agree) and enter it"
        );
    }
    Ok(partners)
}

fn reach(agreed: server::partners::Partner) -> Result<Partner> {
    let (Some(url), Some(root)) = (&agreed.url, &agreed.tls_root) else {
        bail!(
            "[[partners]] {} has no url and tls_root: where batches go, and who vouches for that server",
            agreed.name
        );
    };
    let root = fs::read(root).with_context(|| format!("cannot read {}", root.display()))?;
    let kms: Arc<dyn Kms> = Arc::new(Server::new(&ServerSettings::new(url, root).of_program(AGENT))?);
    let server::partners::Partner { name, suite, pk, mak, .. } = agreed;
    Ok(Partner { name, suite, pk, mak, kms })
}
