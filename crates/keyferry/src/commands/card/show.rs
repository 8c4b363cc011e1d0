//! `keyferry card show`: what a card shows to anybody, without its PIN.

use anyhow::Result;
use clap::Args;
use pki::KeyFamily;

use super::{Place, Which, place::found};
use crate::time;

/// Show a card.
#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    card: Which,
}

impl Show {
    pub(super) fn run(self) -> Result<()> {
        let face = match self.card.place()? {
            Place::File(path) => custody::card::read_face(&path)?,
            Place::Token(uri) => {
                let token = found(&uri)?;
                say!("token        {}, serial {}", token.label(), token.serial());
                say!("its PIN      {}", token.pin_state()?);
                token.face()?
            }
        };
        let certificate = &face.certificate;
        say!("holder       {}", certificate.subject());
        match certificate.role() {
            Some(role) => say!("role         {role}"),
            None => say!("role         none"),
        }
        say!("serial       {}", certificate.serial_hex());
        say!("SHA-256      {}", certificate.sha256_hex());
        say!("issued by    {}", certificate.issuer());
        say!("valid from   {}", time::text(certificate.not_before()));
        let expired = if certificate.not_after() < time::now_seconds() { " (expired)" } else { "" };
        say!("valid until  {}{expired}", time::text(certificate.not_after()));
        say!("key          {}", KeyFamily::of(certificate.spki_der())?);
        for link in &face.chain {
            say!("above it     {}", link.subject());
        }
        Ok(())
    }
}
