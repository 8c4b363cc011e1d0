//! How a vendor's repository is set: JSON in the vendor's record.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

/// Longest time-out that can be set, seconds: a terminal gives up after 30.
const MAX_TIMEOUT: usize = 25;
/// Most requests at once that can be set.
const MAX_AT_ONCE: usize = 64;
/// Largest cache that can be set, MiB.
const MAX_CACHE: usize = 4096;

/// Why a vendor's repository cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its settings are no such JSON.
    #[error("the vendor's repository settings are wrong: {0}")]
    Settings(#[from] serde_json::Error),
    /// A setting cannot be used.
    #[error("the vendor's repository setting {name} cannot be used: {why}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// How a vendor's repository is set.
///
/// ```
/// # use keyferry_server::tms::repository::Settings;
/// let settings = r#"{"kind":"http","url":"https://files.vendor.example/terminals","ca":"/etc/keyferry/vendor.pem"}"#;
/// assert!(matches!(Settings::from_json(settings), Ok(Settings::Http { .. })));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Settings {
    /// Files in a folder of this machine.
    Folder {
        /// The folder, absolute.
        path: PathBuf,
        /// How much of it to ask for at once.
        #[serde(default = "default_at_once")]
        requests_at_once: usize,
        /// How long an answer may take, seconds.
        #[serde(default = "default_timeout")]
        timeout_seconds: u64,
    },
    /// A repository of the vendor's that answers range requests.
    Http {
        /// `https://` or `http://`, host, perhaps a port and a path. Signatures and hashes protect the files either
        /// way; HTTPS also hides what is loaded.
        url: String,
        /// The CA of its TLS certificate, a PEM file. Nothing else is trusted. Must be there for HTTPS.
        ca: Option<PathBuf>,
        /// Bytes kept in memory, MiB.
        #[serde(default = "default_cache")]
        cache_mib: usize,
        /// Requests under way at once.
        #[serde(default = "default_at_once")]
        requests_at_once: usize,
        /// How long an answer may take, seconds.
        #[serde(default = "default_timeout")]
        timeout_seconds: u64,
    },
    /// Files in the database.
    Database {
        /// Reads under way at once.
        #[serde(default = "default_at_once")]
        requests_at_once: usize,
        /// How long an answer may take, seconds.
        #[serde(default = "default_timeout")]
        timeout_seconds: u64,
    },
}

fn default_at_once() -> usize {
    4
}

fn default_timeout() -> u64 {
    10
}

fn default_cache() -> usize {
    64
}

/// What bounds a repository, whichever it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) requests_at_once: usize,
    pub(super) timeout: Duration,
    pub(super) cache_bytes: usize,
}

impl Settings {
    /// Reads and checks settings.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn from_json(text: &str) -> Result<Self, OpenError> {
        let settings: Self = serde_json::from_str(text)?;
        let (at_once, timeout, cache) = settings.numbers();
        within("requests_at_once", at_once, MAX_AT_ONCE)?;
        within("timeout_seconds", usize::try_from(timeout).unwrap_or(usize::MAX), MAX_TIMEOUT)?;
        within("cache_mib", cache, MAX_CACHE)?;
        if let Self::Folder { path, .. } = &settings
            && !path.is_absolute()
        {
            return Err(OpenError::Setting { name: "path", why: "it must be absolute".to_owned() });
        }
        Ok(settings)
    }

    pub(super) fn limits(&self) -> Limits {
        let (requests_at_once, timeout, cache) = self.numbers();
        let cache_bytes = cache.saturating_mul(1024 * 1024);
        Limits { requests_at_once, timeout: Duration::from_secs(timeout), cache_bytes }
    }

    /// Requests at once, time-out, MiB of cache. Beside a local file a small cache is enough: it is what many terminals
    /// ask for at the same time.
    fn numbers(&self) -> (usize, u64, usize) {
        match *self {
            Self::Http { requests_at_once, timeout_seconds, cache_mib, .. } => {
                (requests_at_once, timeout_seconds, cache_mib)
            }
            Self::Folder { requests_at_once, timeout_seconds, .. }
            | Self::Database { requests_at_once, timeout_seconds } => (requests_at_once, timeout_seconds, 8),
        }
    }
}

fn within(name: &'static str, value: usize, most: usize) -> Result<(), OpenError> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(OpenError::Setting { name, why: format!("it must be from 1 to {most}") })
}
