//! What every repository must fulfil. Run a new implementation through [`run`].

use super::{Bytes, MAX_READ, Repository, RepositoryError};

/// A file that the repository under test has, and a path where it has none.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Where the file is.
    pub path: &'a str,
    /// What is in it: some blocks' worth (a MiB and some bytes), so that reads cross their borders.
    pub content: &'a [u8],
    /// Where no file is.
    pub missing: &'a str,
}

/// What a repository does not do as it must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {found}")]
pub struct Broken {
    /// What it must do.
    pub rule: &'static str,
    /// What it did.
    pub found: String,
}

/// Asks a repository for one known file in every way.
///
/// # Errors
/// The first rule that is [`Broken`].
pub async fn run(repository: &dyn Repository, known: Known<'_>) -> Result<(), Broken> {
    let size = u64::try_from(known.content.len()).unwrap_or(u64::MAX);
    let found = repository.size(known.path).await;
    hold("a file has its size", found == Ok(size), &found)?;
    for step in [4096, 32_768, 100_003, 262_144, MAX_READ] {
        read_through(repository, known, step).await?;
    }
    for (offset, len) in [(0, 1), (1, 1), (262_143, 2), (262_144, 1), (131_072, 300_000), (size - 1, 1)] {
        let read = repository.read(known.path, offset, len).await;
        let right = expected(known.content, offset, len);
        hold("bytes are those at the offset", read.as_deref() == Ok(right), &brief(&read))?;
    }
    let read = repository.read(known.path, size - 5, 100).await;
    let right = expected(known.content, size - 5, 100);
    hold("a read across the end stops there", read.as_deref() == Ok(right), &brief(&read))?;
    for offset in [size, size + 1, size * 2, u64::MAX / 2, u64::MAX] {
        let read = repository.read(known.path, offset, 10).await;
        hold("behind the end there is nothing", read.as_deref() == Ok(&[][..]), &brief(&read))?;
    }
    let read = repository.read(known.path, 0, 0).await;
    hold("no bytes wanted, none given", read.as_deref() == Ok(&[][..]), &brief(&read))?;
    let read = repository.read(known.path, 0, usize::MAX).await;
    let bounded = read.as_ref().is_ok_and(|read| read.len() <= MAX_READ && known.content.starts_with(read));
    hold("one read is bounded", bounded, &brief(&read))?;
    all_at_once(repository, known).await?;
    refusals(repository, known).await
}

async fn read_through(repository: &dyn Repository, known: Known<'_>, step: usize) -> Result<(), Broken> {
    let mut offset = 0;
    while offset < known.content.len() {
        let at = u64::try_from(offset).unwrap_or(u64::MAX);
        let read = repository.read(known.path, at, step).await;
        let right = expected(known.content, at, step);
        hold("a file is read through in steps", read.as_deref() == Ok(right), &brief(&read))?;
        offset += right.len();
    }
    Ok(())
}

async fn all_at_once(repository: &dyn Repository, known: Known<'_>) -> Result<(), Broken> {
    let read = |offset, len| repository.read(known.path, offset, len);
    let [a, b, c, d] = [(0, 40_000), (200_000, 90_000), (262_144, 10), (5, 70_000)];
    let answers = tokio::join!(read(a.0, a.1), read(b.0, b.1), read(c.0, c.1), read(d.0, d.1));
    for (answer, (offset, len)) in [answers.0, answers.1, answers.2, answers.3].into_iter().zip([a, b, c, d])
    {
        let right = expected(known.content, offset, len);
        hold("many are served at once", answer.as_deref() == Ok(right), &brief(&answer))?;
    }
    Ok(())
}

async fn refusals(repository: &dyn Repository, known: Known<'_>) -> Result<(), Broken> {
    let up = format!("../{}", known.path);
    let around = format!("./{}", known.path);
    let inside = format!("{}/inside", known.path);
    let absolute = format!("/{}", known.path);
    for path in [
        known.missing,
        &up,
        &around,
        &inside,
        &absolute,
        "",
        "/",
        ".",
        "..",
        "a/../../b",
        "/etc/passwd",
        "a\0b",
    ] {
        let read = repository.read(path, 0, 10).await;
        let missing = read.as_ref().err() == Some(&RepositoryError::Missing);
        hold("where no file is or may be, none is read", missing, &(path, brief(&read)))?;
        let size = repository.size(path).await;
        hold(
            "where no file is or may be, none has a size",
            size == Err(RepositoryError::Missing),
            &(path, size),
        )?;
    }
    Ok(())
}

fn expected(content: &[u8], offset: u64, len: usize) -> &[u8] {
    let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
    let to = from.saturating_add(len.min(MAX_READ)).min(content.len());
    content.get(from..to).unwrap_or_default()
}

fn hold(rule: &'static str, holds: bool, found: &impl std::fmt::Debug) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken { rule, found: format!("{found:?}") }) }
}

/// How many bytes came, not which.
fn brief(read: &Result<Bytes, RepositoryError>) -> Result<usize, RepositoryError> {
    read.as_ref().map(Bytes::len).map_err(Clone::clone)
}
