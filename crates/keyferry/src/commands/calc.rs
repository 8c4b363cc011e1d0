use std::{
    io::{self, BufRead, IsTerminal, Read},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use calc::{Algorithm, HeaderText, MacAlgorithm};
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

/// The payment engineer's calculator. Keys, PINs and PANs come from a prompt or standard input (one a line), never the
/// command line.
/// It reports weak keys and wrong parity; it refuses neither.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Calc {
    /// Read one JSON request a line from standard input and answer one a line.
    #[arg(long)]
    jsonl: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Check value of a key.
    Kcv(Kcv),
    /// MAC of data.
    Mac(Mac),
    /// Key blocks (X9.143 / TR-31).
    #[command(subcommand)]
    Keyblock(Keyblock),
    /// Parity of a key, and the key with odd parity.
    Parity,
    /// Join key components by XOR; the first line says how many follow where they are piped in.
    Components(Components),
    /// PIN blocks (ISO 9564-1).
    #[command(subcommand)]
    Pinblock(Pinblock),
}

#[derive(Subcommand)]
enum Pinblock {
    /// Make a block: asks for the PIN, the PAN (not in format 1) and the key.
    Encode(PinFormat),
    /// Open a block: asks for the block, the PAN (not in format 1) and the key.
    Decode(PinFormat),
}

/// Which PIN block, and under what.
#[derive(Args)]
struct PinFormat {
    /// 0, 1, 3 or 4.
    #[arg(long)]
    format: u64,
    /// The block is enciphered with TDES: asks for the key. Format 4 is always enciphered, with AES.
    #[arg(long)]
    enciphered: bool,
}

/// Check value of a key.
#[derive(Args)]
struct Kcv {
    /// tdes, aes or aes-legacy.
    #[arg(long, default_value = "tdes")]
    algorithm: String,
}

/// MAC of data.
#[derive(Args)]
struct Mac {
    /// x9.9, iso9797-1-alg1, iso9797-1-alg3, cmac-tdes or cmac-aes.
    #[arg(long)]
    algorithm: String,
    /// Padding method 1, 2 or 3.
    #[arg(long)]
    padding: Option<u64>,
    /// The data, hex.
    #[arg(long)]
    data: String,
}

#[derive(Subcommand)]
enum Keyblock {
    /// Show a block's header; needs no key.
    Parse {
        /// The block.
        block: String,
    },
    /// Open a block under its protection key.
    Unwrap {
        /// The block.
        block: String,
    },
    /// Put a key into a block.
    Wrap(Wrap),
}

/// Put a key into a block: asks for the protection key, then for the key.
#[derive(Args)]
#[command(disable_version_flag = true)] // here --version is the block's
struct Wrap {
    /// A, B, C, D or E.
    #[arg(long)]
    version: String,
    /// Key usage, two characters.
    #[arg(long)]
    usage: String,
    /// Algorithm, one character.
    #[arg(long)]
    algorithm: String,
    /// Mode of use, one character.
    #[arg(long)]
    mode: String,
    /// Key version number.
    #[arg(long, default_value = "00")]
    key_version: String,
    /// Exportability: E, N or S.
    #[arg(long, default_value = "N")]
    exportability: String,
    /// An optional block, ID=TEXT; may be repeated.
    #[arg(long = "optional", value_parser = optional)]
    optional: Vec<(String, String)>,
}

/// Join components.
#[derive(Args)]
struct Components {
    /// How many there are.
    #[arg(long, default_value_t = 2)]
    count: usize,
    /// tdes, aes or aes-legacy.
    #[arg(long, default_value = "tdes")]
    algorithm: String,
}

impl Calc {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if self.jsonl {
            calc::run_jsonl(io::stdin().lock(), io::stdout().lock())?;
            return Ok(ExitCode::SUCCESS);
        }
        let Some(what) = self.what else { bail!("say what to calculate; see keyferry calc --help") };
        let text = what.run()?;
        say!("{}", text.trim_end());
        Ok(ExitCode::SUCCESS)
    }
}

impl What {
    fn run(self) -> Result<Zeroizing<String>> {
        Ok(match self {
            Self::Kcv(kcv) => {
                let algorithm = Algorithm::parse(&kcv.algorithm)?;
                Zeroizing::new(calc::kcv(algorithm, &key("key")?)?.to_string())
            }
            Self::Mac(mac) => {
                let algorithm = MacAlgorithm::parse(&mac.algorithm)?;
                let padding = algorithm.padding(mac.padding)?;
                let data = calc::read_hex(&mac.data, "data")?;
                Zeroizing::new(calc::mac(algorithm, padding, &key("key")?, &data)?.to_string())
            }
            Self::Keyblock(Keyblock::Parse { block }) => Zeroizing::new(calc::parse(&block)?.to_string()),
            Self::Keyblock(Keyblock::Unwrap { block }) => {
                calc::unwrap(&key("protection key")?, &block)?.text()
            }
            Self::Keyblock(Keyblock::Wrap(wrap)) => wrap.run()?,
            Self::Parity => calc::parity(&key("key")?)?.text(),
            Self::Components(components) => components.run()?,
            Self::Pinblock(Pinblock::Encode(how)) => {
                let pin = line("PIN", "PIN: ")?;
                let (pan, key) = how.pan_and_key()?;
                let key = key.as_deref().map(Vec::as_slice);
                calc::encode_pin(how.format, pin.trim(), pan.as_ref().map(|pan| pan.trim()), key)?.text()
            }
            Self::Pinblock(Pinblock::Decode(how)) => {
                let block = calc::read_hex(line("block", "block (hex): ")?.trim(), "block")?;
                let (pan, key) = how.pan_and_key()?;
                let key = key.as_deref().map(Vec::as_slice);
                calc::decode_pin(how.format, &block, pan.as_ref().map(|pan| pan.trim()), key)?.text()
            }
        })
    }
}

impl Wrap {
    fn run(self) -> Result<Zeroizing<String>> {
        let fields = HeaderText {
            version: &self.version,
            usage: &self.usage,
            algorithm: &self.algorithm,
            mode: &self.mode,
            key_version: &self.key_version,
            exportability: &self.exportability,
            key_context: "0",
        };
        let header = calc::header(&fields, &self.optional)?;
        let kbpk = key("protection key")?;
        Ok(Zeroizing::new(calc::wrap(&kbpk, &header, &key("key")?, None)?.to_string()))
    }
}

/// Each where the format has one.
type PanAndKey = (Option<Zeroizing<String>>, Option<Zeroizing<Vec<u8>>>);

impl PinFormat {
    /// What is asked for after PIN or block.
    fn pan_and_key(&self) -> Result<PanAndKey> {
        let pan = (self.format != 1).then(|| line("PAN", "PAN: ")).transpose()?;
        let key = (self.enciphered || self.format == 4).then(|| key("key")).transpose()?;
        Ok((pan, key))
    }
}

impl Components {
    fn run(self) -> Result<Zeroizing<String>> {
        let algorithm = Algorithm::parse(&self.algorithm)?;
        let read = (1..=self.count).map(|n| key(&format!("component {n}"))).collect::<Result<Vec<_>>>()?;
        let parts: Vec<&[u8]> = read.iter().map(|part| part.as_slice()).collect();
        Ok(calc::combine(algorithm, &parts)?.text())
    }
}

/// Reads a key, hex: from a prompt that does not echo, or a line of standard input.
fn key(what: &str) -> Result<Zeroizing<Vec<u8>>> {
    let text = secret(&format!("{what} (hex): "))?;
    if text.trim().is_empty() {
        bail!("no {what} was given; type it at the prompt or pipe it in, hex, one a line");
    }
    Ok(calc::read_hex(text.trim(), "key")?)
}

/// Reads something else that is nobody's business, in the same way.
fn line(what: &str, prompt: &str) -> Result<Zeroizing<String>> {
    let text = secret(prompt)?;
    if text.trim().is_empty() {
        bail!("no {what} was given; type it at the prompt or pipe it in, one a line");
    }
    Ok(text)
}

fn secret(prompt: &str) -> Result<Zeroizing<String>> {
    if io::stdin().is_terminal() {
        return Ok(Zeroizing::new(rpassword::prompt_password(prompt)?));
    }
    let mut line = Zeroizing::new(String::with_capacity(16 * 1024));
    io::stdin().lock().take(16 * 1024).read_line(&mut line).context("cannot read standard input")?;
    Ok(line)
}

fn optional(text: &str) -> Result<(String, String), String> {
    let (id, data) = text.split_once('=').ok_or("give it as ID=TEXT")?;
    Ok((id.to_owned(), data.to_owned()))
}
