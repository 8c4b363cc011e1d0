//! One PIN in every format, and the one answer to a damaged block.
//!
//! ```text
//! cargo run -p pinblock --example formats
//! ```

use pinblock::{Format, Format4Key, Pan, Pin, decode, encode, encode_format4};

fn main() -> Result<(), pinblock::Error> {
    // A published test PAN and PIN: real ones are never printed.
    let pin = Pin::new("1234")?;
    let pan = Pan::new("5555555551234567")?;

    for format in [Format::Iso0, Format::Iso1, Format::Iso3] {
        let clear = encode(format, &pin, Some(&pan))?;
        println!("format {}, clear       {}", format.number(), hex(clear.expose()));
        assert!(decode(format, clear.expose(), Some(&pan))?.matches(&pin));
    }
    // For the example only: keys come from an HSM.
    let key = Format4Key::new(b"16 example bytes")?;
    println!("format 4, enciphered  {}", hex(&encode_format4(&pin, &pan, &key)?));

    let clear = encode(Format::Iso0, &pin, Some(&pan))?;
    let mut damaged = *clear.expose();
    damaged[7] ^= 1;
    for (what, block, pan) in
        [("damaged", damaged, &pan), ("another card's", *clear.expose(), &Pan::new("5555555551234575")?)]
    {
        match decode(Format::Iso0, &block, Some(pan)) {
            Err(refused) => println!("{what}: {refused}"),
            Ok(_) => println!("{what}: opened, which must not be"),
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
