//! Which paths a repository has.

use super::RepositoryError;

/// Longest path in bytes.
const MAX_PATH: usize = 1024;

/// The parts of a relative path.
///
/// # Errors
/// [`RepositoryError::Missing`] for one that is empty or too long, is absolute, leads out or around (`..`, `.`, `//`), or
/// has a backslash or a control character.
pub(super) fn parts(path: &str) -> Result<Vec<&str>, RepositoryError> {
    let odd = |character: char| character == '\\' || character.is_control();
    if path.len() > MAX_PATH || path.contains(odd) {
        return Err(RepositoryError::Missing);
    }
    let parts: Vec<&str> = path.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return Err(RepositoryError::Missing);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_have_parts() {
        assert_eq!(parts("a").unwrap(), ["a"]);
        assert_eq!(parts("pay/1.2.0/pay app.bin").unwrap(), ["pay", "1.2.0", "pay app.bin"]);
        assert_eq!(parts("..a/b..").unwrap(), ["..a", "b.."]);
    }

    #[test]
    fn paths_that_lead_out_or_around_are_refused() {
        let long = "a".repeat(MAX_PATH + 1);
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/../b",
            "a/..",
            ".",
            "./a",
            "a//b",
            "a/",
            "a\\..\\b",
            "a\0b",
            "a\nb",
            &long,
        ] {
            assert_eq!(parts(path), Err(RepositoryError::Missing), "{path:?}");
        }
    }
}
