//! Wraps a key into a version D block, opens it again, and shows that a changed block is refused.
//!
//! ```text
//! cargo run -p keyblock --example wrap
//! ```

use keyblock::{Algorithm, Error, Exportability, Header, Kbpk, Mode, Usage, Version};

fn main() -> Result<(), Error> {
    // For the example only: protection keys come from an HSM or a key ceremony.
    let kbpk = Kbpk::new(Version::D, b"never a key from a source file!!")?;
    let pin_key = *b"16 example bytes";

    let header = Header::new(
        Version::D,
        Usage::PIN_ENCRYPTION,
        Algorithm::TDES,
        Mode::ENCRYPT,
        Exportability::NOT_EXPORTABLE,
    )
    .with_optional("10", "SN-1001/03")?;

    let block = kbpk.wrap(&header, &pin_key)?;
    println!("{block}");

    let opened = kbpk.unwrap(&block)?;
    println!("opened: usage {}, {} bytes", opened.header.usage, opened.key.len());

    // E (encrypt) becomes D (decrypt): the MAC covers the header.
    let changed = block.replacen("P0TE", "P0TD", 1);
    match kbpk.unwrap(&changed) {
        Err(error) => println!("changed: {error}"),
        Ok(_) => println!("changed: opened, which must not be"),
    }
    Ok(())
}
