//! A vendor's server, good and bad.

use std::sync::{Arc, atomic::Ordering};

use serde_json::json;

use super::{
    super::{Repository, RepositoryError, conformance},
    PATH, content,
    http_server::{Manner, Server},
    known, opened,
};

/// [`PATH`] as it stands in a request.
const ASKED: &str = "pay/1.2.0/pay%20app.bin";

fn repository(server: &Server) -> Arc<dyn Repository> {
    waiting(server, 20)
}

fn waiting(server: &Server, seconds: u64) -> Arc<dyn Repository> {
    opened(&json!({ "kind": "http", "url": server.url, "timeout_seconds": seconds })).unwrap()
}

/// What a server that behaves like this gives of a file of several blocks.
async fn refused(manner: Manner) -> RepositoryError {
    let server = Server::start(manner, ASKED, content()).await;
    let never = matches!(manner, Manner::Dead | Manner::Dripping);
    let repository = waiting(&server, if never { 1 } else { 20 });
    let read = repository.read(PATH, 0, 100).await;
    let size = repository.size(PATH).await;
    assert_eq!(size.err(), read.clone().err(), "{manner:?}: nothing of it was kept");
    read.unwrap_err()
}

fn says(error: &RepositoryError, what: &str) {
    let RepositoryError::Unavailable { why } = error else { panic!("{error:?}") };
    assert!(why.contains(what), "{why}");
}

#[tokio::test]
async fn a_good_server_fulfils_the_conformance_suite() {
    let content = content();
    let server = Server::start(Manner::Good, ASKED, content.clone()).await;
    conformance::run(&*repository(&server), known(&content)).await.unwrap();
}

#[tokio::test]
async fn a_dead_server_is_given_up_in_time() {
    says(&refused(Manner::Dead).await, "no answer in 1 s");
}

#[tokio::test]
async fn a_server_that_drips_is_given_up_in_time() {
    says(&refused(Manner::Dripping).await, "no answer in 1 s");
}

#[tokio::test]
async fn another_range_is_refused() {
    says(&refused(Manner::WrongRange).await, "another range");
}

#[tokio::test]
async fn an_answer_cut_short_is_refused() {
    let error = refused(Manner::Truncating).await;
    assert!(matches!(error, RepositoryError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_longer_than_the_range_is_refused() {
    says(&refused(Manner::Longer).await, "longer than the range");
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    says(&refused(Manner::Redirecting).await, "redirects");
}

#[tokio::test]
async fn a_server_without_ranges_is_refused_for_more_than_a_block() {
    says(&refused(Manner::Whole).await, "does not answer range requests");
}

#[tokio::test]
async fn a_server_without_ranges_will_do_for_a_small_file() {
    let small = content()[..1000].to_vec();
    let server = Server::start(Manner::Whole, ASKED, small.clone()).await;
    let repository = repository(&server);
    assert_eq!(repository.size(PATH).await, Ok(1000));
    assert_eq!(repository.read(PATH, 990, 100).await.unwrap(), small[990..]);
}

#[tokio::test]
async fn an_encoded_answer_is_refused() {
    says(&refused(Manner::Encoded).await, "in an encoding");
}

#[tokio::test]
async fn no_http_is_no_file() {
    let error = refused(Manner::Babbling).await;
    assert!(matches!(error, RepositoryError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn statuses_are_told_apart() {
    assert_eq!(refused(Manner::Status(404)).await, RepositoryError::Missing);
    assert_eq!(refused(Manner::Status(410)).await, RepositoryError::Missing);
    assert_eq!(refused(Manner::Status(503)).await, RepositoryError::Busy);
    assert_eq!(refused(Manner::Status(429)).await, RepositoryError::Busy);
    says(&refused(Manner::Status(500)).await, "HTTP status 500");
    says(&refused(Manner::Status(401)).await, "HTTP status 401");
    says(&refused(Manner::Status(204)).await, "HTTP status 204");
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let gone = opened(&json!({ "kind": "http", "url": "http://127.0.0.1:1", "timeout_seconds": 1 })).unwrap();
    let read = gone.read(PATH, 0, 1).await;
    assert!(matches!(read, Err(RepositoryError::Unavailable { .. })), "{read:?}");
}

#[tokio::test]
async fn a_size_that_is_not_the_files_is_noticed() {
    let server = Server::start(Manner::WrongSize, ASKED, content()).await;
    let repository = repository(&server);
    // The first block cannot show it; the last one does.
    assert!(repository.read(PATH, 0, 10).await.is_ok());
    let read = repository.read(PATH, 1_090_000, 20_000).await;
    assert!(matches!(read, Err(RepositoryError::Unavailable { .. })), "{read:?}");
}

#[tokio::test]
async fn an_empty_file_is_one() {
    let server = Server::start(Manner::Good, ASKED, Vec::new()).await;
    let repository = repository(&server);
    assert_eq!(repository.size(PATH).await, Ok(0));
    assert_eq!(repository.read(PATH, 0, 10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_file_that_has_changed_is_noticed_once() {
    let server = Server::start(Manner::Good, ASKED, content()).await;
    let repository = repository(&server);
    assert_eq!(repository.read(PATH, 0, 10).await.unwrap(), content()[..10]);
    let changed: Vec<u8> = content().iter().map(|byte| !byte).collect();
    server.change(|site| {
        site.content.clone_from(&changed);
        site.tag = "\"two\"";
    });
    assert_eq!(repository.read(PATH, 300_000, 10).await, Err(RepositoryError::Changed));
    assert_eq!(repository.read(PATH, 300_000, 10).await.unwrap(), changed[300_000..300_010]);
    assert_eq!(repository.read(PATH, 0, 10).await.unwrap(), changed[..10], "the old block was forgotten");
    // A file that is shorter now, by its length alone.
    server.change(|site| site.content.truncate(600_000));
    assert_eq!(repository.read(PATH, 900_000, 10).await, Err(RepositoryError::Changed));
    assert_eq!(repository.size(PATH).await, Ok(600_000));
}

#[tokio::test]
async fn many_terminals_cost_a_request_a_block() {
    let server = Server::start(Manner::Good, ASKED, content()).await;
    let repository = repository(&server);
    let reads: Vec<_> = (0..200)
        .map(|terminal| {
            let repository = Arc::clone(&repository);
            tokio::spawn(async move { repository.read(PATH, terminal % 33 * 32_768, 32_768).await })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap().len(), 32_768);
    }
    assert_eq!(server.asked(), 5, "the file has five blocks");
    assert!(server.most.load(Ordering::SeqCst) <= 4, "requests_at_once by default");
}

#[tokio::test]
async fn a_dead_vendor_holds_up_no_other() {
    let content = content();
    let dead = Server::start(Manner::Dead, ASKED, content.clone()).await;
    let good = Server::start(Manner::Good, ASKED, content.clone()).await;
    let (dead, good) = (waiting(&dead, 1), repository(&good));
    let waiting: Vec<_> = (0..100)
        .map(|terminal| {
            let dead = Arc::clone(&dead);
            tokio::spawn(async move { dead.read(PATH, terminal % 4 * 262_144, 10).await })
        })
        .collect();
    conformance::run(&*good, known(&content)).await.unwrap();
    for read in waiting {
        let read = read.await.unwrap();
        assert!(matches!(read, Err(RepositoryError::Unavailable { .. } | RepositoryError::Busy)), "{read:?}");
    }
}

#[tokio::test]
async fn paths_that_lead_out_are_never_sent() {
    let server = Server::start(Manner::Good, ASKED, content()).await;
    let repository = repository(&server);
    for path in ["../secret", "a/../../secret", "/etc/passwd", "a\\b", "a\r\nX: y"] {
        assert_eq!(repository.read(path, 0, 1).await, Err(RepositoryError::Missing), "{path:?}");
    }
    assert_eq!(server.asked(), 0);
}
