//! Looking for keys where none may be, in every spelling that a slip would give them.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use argon2::{Algorithm, Argon2, Params, Version};
use base64ct::{Base64Unpadded, Encoding};
use paycrypto::{AesKey, gcm::GcmKey};

/// The shortest piece of a key that is looked for, in bytes: a part of a TDES key.
const PART: usize = 8;

/// What must not be found, by name.
#[derive(Default)]
pub(crate) struct Canaries(BTreeMap<String, Vec<Vec<u8>>>);

impl Canaries {
    /// A secret, whole and in each part of 8 bytes, in each spelling.
    pub(crate) fn add(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= PART, "{name}");
        let needles = self.0.entry(name.to_owned()).or_default();
        for part in secret.chunks_exact(PART) {
            needles.extend(spellings(part));
        }
    }

    /// Stops the test where a secret is found.
    pub(crate) fn assert_absent(&self, place: &str, content: &[u8]) {
        for (name, needles) in &self.0 {
            assert!(!needles.iter().any(|needle| contains(content, needle)), "{name} is in {place}");
        }
    }

    /// The same in every file of a folder, and says how many bytes were read.
    pub(crate) fn assert_absent_in_files(&self, folder: &Path, except: &[&str]) -> usize {
        let mut read = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                read += self.assert_absent_in_files(&path, except);
            } else if !except.contains(&name.as_str()) {
                let content = fs::read(&path).unwrap();
                read += content.len();
                self.assert_absent(&path.display().to_string(), &content);
            }
        }
        read
    }
}

/// Raw, hex of both cases, base64 wherever it begins, and as Rust prints bytes.
pub(crate) fn spellings(part: &[u8]) -> Vec<Vec<u8>> {
    let mut found = vec![part.to_vec()];
    let text = |write: &dyn Fn(&mut String, u8)| {
        let mut text = String::new();
        part.iter().for_each(|byte| write(&mut text, *byte));
        text.into_bytes()
    };
    found.push(text(&|text, byte| write!(text, "{byte:02X}").unwrap()));
    found.push(text(&|text, byte| write!(text, "{byte:02x}").unwrap()));
    found.push(part.iter().map(u8::to_string).collect::<Vec<_>>().join(", ").into_bytes());
    // A part that begins at any of the three places within a group: the characters that it alone decides.
    for lead in 0..3 {
        let encoded = Base64Unpadded::encode_string(&[&vec![0; lead][..], part].concat()).into_bytes();
        let (first, last) = ((lead * 4).div_ceil(3), (lead + part.len()) * 4 / 3);
        found.push(encoded[first..last].to_vec());
    }
    found
}

fn contains(content: &[u8], needle: &[u8]) -> bool {
    // Most positions differ in the first byte.
    content.windows(needle.len()).any(|window| window[0] == needle[0] && window == needle)
}

/// What the HSM's sealed file holds, opened by its documented form alone: `"KFSEAL01" ‖ memory KiB (4) ‖ passes (4) ‖
/// lanes (4) ‖ salt (16) ‖ nonce (12) ‖ AES-256-GCM`; inside, one LMK generation and the secret for strangers.
pub(crate) fn unseal(file: &Path, passphrase: &str) -> [Vec<u8>; 2] {
    let bytes = fs::read(file).unwrap();
    let (head, _) = bytes.split_at(48);
    let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
    let params = Params::new(number(8), number(12), number(16), Some(32)).unwrap();
    let mut key = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(passphrase.as_bytes(), &head[20..36], &mut key).unwrap();
    let gcm = GcmKey::new(&AesKey::from_bytes(&key).unwrap()).unwrap();
    let secret = gcm.open(head, &bytes[36..]).unwrap();
    assert_eq!((secret.len(), secret[0]), (65, 1), "one generation and one secret");
    [secret[1..33].to_vec(), secret[33..].to_vec()]
}
