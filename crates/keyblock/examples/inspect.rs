//! Shows what a key block says in the clear. Needs no key and no cryptography.
//!
//! ```text
//! echo B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E |
//!     cargo run -p keyblock --example inspect --no-default-features
//! ```

use std::io::{self, BufRead};

use keyblock::{Envelope, Error};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        match Envelope::parse(line?.trim()) {
            Ok(envelope) => show(&mut out, &envelope)?,
            Err(error) => explain(&mut out, error)?,
        }
    }
    Ok(())
}

fn show(out: &mut impl io::Write, envelope: &Envelope<'_>) -> io::Result<()> {
    let header = &envelope.header;
    writeln!(out, "version        {}", header.version)?;
    writeln!(out, "usage          {}", header.usage)?;
    writeln!(out, "algorithm      {}", header.algorithm)?;
    writeln!(out, "mode of use    {}", header.mode)?;
    writeln!(out, "key version    {}", header.key_version)?;
    writeln!(out, "exportability  {}", header.exportability)?;
    for block in &header.optional {
        writeln!(out, "optional {}    {}", block.id(), block.text())?;
    }
    writeln!(out, "encrypted key  {} bytes", envelope.ciphertext().len() / 2)?;
    writeln!(out, "MAC            {} (not checked: that needs the key)", envelope.mac())
}

fn explain(out: &mut impl io::Write, error: Error) -> io::Result<()> {
    writeln!(out, "refused        {error}")
}
