//! How long an order's acts and reads take in the SQLite store, for as many terminals as an order may list, from the list
//! to the last receipt, at both ends.
//!
//! ```text
//! cargo run --release -p keyferry-store --example order_scale [terminals]
//! ```

use std::time::Instant;

use keyferry_store::{
    BatchEntry, BatchImport, BatchOutcome, CollectedTerminal, CollectedTk, CollectionImport, Event,
    ItemResult, NewAcquirer, NewBatch, NewCertificate, NewOrder, NewWorkKey, OrderOutcome, OrderStore,
    Person, SqliteOptions, SqliteStore, Store, WorkKeyState,
};
use serde_json::json;
use wire::{Device, Serial, Suite};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Terminals in one package, batch or page.
const AT_ONCE: usize = 1_000;
const WORK_CERTIFICATE: &str = "abababababababababababababababababababababababababababababababab";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let terminals: usize = std::env::args().nth(1).map_or(Ok(200_000), |word| word.parse())?;
    let serials: Vec<Serial> =
        (0..terminals).map(|n| Serial::parse(&format!("SN-{n:08}"))).collect::<Result<_, _>>()?;
    let folder = tempfile::tempdir()?;
    let mtms = SqliteStore::open(&folder.path().join("mtms.sqlite"), SqliteOptions::default())?;
    let kms = SqliteStore::open(&folder.path().join("kms.sqlite"), SqliteOptions::default())?;
    println!("{terminals} terminals in one order, {AT_ONCE} at once");
    for (store, what) in [(&mtms, "MTMS"), (&kms, "KMS")] {
        estate(store).await?;
        let clock = Clock::start();
        let outcome = store.put_order(order(&serials), event("order.added")).await?;
        assert_eq!(outcome, OrderOutcome::Added);
        clock.told(&format!("order entered at the {what}"), terminals);
    }

    let clock = Clock::start();
    for (n, page) in serials.chunks(AT_ONCE).enumerate() {
        assert_eq!(mtms.orders_listing(page.to_vec()).await?.len(), page.len());
        mtms.import_collection(collection(n, page)?, event("collection.received")).await?;
    }
    clock.told("collected at the MTMS", terminals);

    let (clock, mut after, mut sent) = (Clock::start(), None, 0);
    loop {
        let page = mtms.undelivered("PO", after.as_ref(), u32::try_from(AT_ONCE)?).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.terminal.sn.clone());
        let items: Vec<_> = page.iter().map(|u| (u.terminal.sn.clone(), u.terminal.tk_generation)).collect();
        let results = page.iter().map(|u| result(&u.terminal.sn)).collect();
        let batch =
            NewBatch { order: "PO".into(), digest: digest(sent, 1), package: vec![0; 600_000], items };
        let id = mtms.put_batch(batch, event("batch.kept")).await?;
        assert!(mtms.answer_batch(id, vec![0; 60_000], results, event("batch.answered")).await?);
        sent += page.len();
    }
    assert_eq!(sent, terminals);
    clock.told("kept in batches and answered at the MTMS", terminals);

    let clock = Clock::start();
    for (n, page) in serials.chunks(AT_ONCE).enumerate() {
        assert_eq!(kms.listed_in("PO", page.to_vec()).await?.len(), page.len());
        let outcome = kms.import_batch(batch(n, page)?, event("batch.received")).await?;
        assert!(matches!(outcome, BatchOutcome::Stored(_)));
    }
    clock.told("batches taken at the KMS", terminals);

    let (clock, mut after, mut shown) = (Clock::start(), None, 0);
    loop {
        let page = mtms.order_serials("PO", after.as_ref(), u32::try_from(AT_ONCE)?).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.sn.clone());
        shown += page.iter().filter(|s| s.last.as_ref().is_some_and(|item| item.result.is_some())).count();
    }
    assert_eq!(shown, terminals);
    clock.told("reconciled from the MTMS's pages", terminals);

    let clock = Clock::start();
    for page in serials.chunks(AT_ONCE).take(20) {
        mtms.serial_history(&page[0]).await?;
    }
    clock.told("histories", serials.chunks(AT_ONCE).take(20).count());
    println!(
        "{:>7.0} MiB MTMS's file, {:.0} MiB KMS's",
        mib(&folder.path().join("mtms.sqlite"))?,
        mib(&folder.path().join("kms.sqlite"))?
    );
    Ok(())
}

struct Clock(Instant);

impl Clock {
    fn start() -> Clock {
        Clock(Instant::now())
    }

    #[allow(clippy::cast_precision_loss, reason = "a rate is told to a few digits")]
    fn told(&self, what: &str, count: usize) {
        let seconds = self.0.elapsed().as_secs_f64();
        println!("{seconds:>9.2} s  {:>8.0} /s  {what}", count as f64 / seconds);
    }
}

#[allow(clippy::cast_precision_loss, reason = "a size is told to a few digits")]
fn mib(path: &std::path::Path) -> Result<f64, Failure> {
    Ok(std::fs::metadata(path)?.len() as f64 / 1_048_576.0)
}

fn event(kind: &'static str) -> Event {
    Event::new(1_700_000_000_000, kind, "benchmark", "PO", json!({}))
}

fn digest(n: usize, of: u8) -> [u8; 32] {
    let mut digest = [of; 32];
    digest[..8].copy_from_slice(&n.to_be_bytes());
    digest
}

fn person(name: &str, serial: &str) -> Person {
    Person { subject: format!("CN={name}"), certificate_serial: serial.into() }
}

async fn estate(store: &SqliteStore) -> Result<(), Failure> {
    store.put_acquirer(NewAcquirer { id: "acq".into(), name: "First".into() }, event("acquirer")).await?;
    let certificate =
        NewCertificate { role: "kms-work".into(), sha256: WORK_CERTIFICATE.into(), der: vec![0x30, 1] };
    store.put_certificate(certificate, event("certificate")).await?;
    let key = NewWorkKey {
        certificate_sha256: WORK_CERTIFICATE.into(),
        private_block: "D0016RSA".into(),
        spki: vec![0x30, 2],
        state: WorkKeyState::Active,
        suite: Suite::TDES,
        intermediates: vec![],
    };
    Ok(store.put_work_key(key, event("work-key")).await?)
}

fn order(serials: &[Serial]) -> NewOrder {
    NewOrder {
        order: "PO".into(),
        vendor: "VENDOR".into(),
        buyer: "acq".into(),
        model: "M1".into(),
        serials: Some(serials.to_vec()),
        package: vec![0; serials.len() * 14],
        asked_by: person("Olga", "0A"),
        approved_by: person("Adam", "0B"),
    }
}

fn terminal(sn: &Serial, tk: CollectedTk) -> CollectedTerminal {
    CollectedTerminal {
        device: Device::built_in(sn.clone()),
        vendor: Some("KF".into()),
        model: Some("M1".into()),
        tk,
        work_certificate_sha256: WORK_CERTIFICATE.into(),
        fingerprint: wire::fingerprint(sn, b"ciphertext"),
        replaces: false,
        refused: None,
    }
}

fn collection(n: usize, page: &[Serial]) -> Result<CollectionImport, Failure> {
    let tk = |sn: &Serial| CollectedTk::Ciphertext(own::<256>(sn).to_vec());
    Ok(CollectionImport {
        digest: digest(n, 2),
        package: vec![0; 500_000],
        signer: person("Olga", "0A"),
        second_signer: None,
        acquirer: "acq".into(),
        station: "line 1".into(),
        collected_at: 0,
        terminals: page.iter().map(|sn| terminal(sn, tk(sn))).collect(),
    })
}

/// Bytes of no other terminal: a TK is one terminal's.
fn own<const N: usize>(sn: &Serial) -> [u8; N] {
    let mut bytes = [0xC7; N];
    bytes.iter_mut().zip(sn.as_str().bytes()).for_each(|(to, from)| *to = from);
    bytes
}

fn batch(n: usize, page: &[Serial]) -> Result<BatchImport, Failure> {
    let tk =
        |sn: &Serial| CollectedTk::Opened { tek: "D".repeat(176), auk: "D".repeat(176), digest: own(sn) };
    Ok(BatchImport {
        digest: digest(n, 3),
        content_digest: digest(n, 4),
        package: vec![0; 600_000],
        signer: person("Vendor", "0C"),
        acquirer: "acq".into(),
        partner: "VENDOR".into(),
        order: "PO".into(),
        collected_at: 0,
        entries: page.iter().map(|sn| BatchEntry::Terminal(Box::new(terminal(sn, tk(sn))))).collect(),
    })
}

fn result(sn: &Serial) -> ItemResult {
    ItemResult {
        sn: sn.to_string(),
        ok: true,
        code: "stored".into(),
        text: "stored; the terminal can download".into(),
        fingerprint: None,
    }
}
