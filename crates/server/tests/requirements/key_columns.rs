//! R3: every key is kept and sent as a key block with its use bound in.

use std::collections::BTreeSet;

use crate::{
    support::world::World,
    yard::{OPERATIONS, Yard},
};

/// Where the schema keeps keys: table, column, the column that says whose a row's key is, and what its keys may be: use,
/// algorithm and mode of X9.143.
const KEYS: [(&str, &str, &str, &[&str]); 11] = [
    ("terminals", "tek", "key_serial", &["K1TE", "B3AX"]),
    ("terminals", "auk", "key_serial", &["D0TE", "B3AX"]),
    ("replacements", "tek", "key_serial", &["K1TE", "B3AX"]),
    ("replacements", "auk", "key_serial", &["D0TE", "B3AX"]),
    ("tmks", "block", "key_serial", &["K1TB", "K1AB"]),
    ("working_keys", "block", "key_serial", &["P0TE", "M3TC", "D0TE", "P0AE", "M6AC", "D0AE"]),
    ("devices", "dmk", "key_serial", &["11TN", "11AN"]),
    ("devices", "factor", "key_serial", &["13TN", "13AN"]),
    ("dik1s", "block", "", &["B3TX", "B3AX"]),
    ("zone_keys", "block", "zone", &["P0TE", "P0AE"]),
    ("work_keys", "private_block", "", &["K3RD", "K3EX", "S0ES"]),
];

/// Columns that hold texts or bytes and no key; `operators.sealed` is what passwords are checked with, sealed by the HSM,
/// and `ctk_pu` and the packages are ciphertexts until the HSM has opened them; batches carry key blocks inside their CMS; a
/// TK's digest is of its ciphertext, or under a secret of the HSM. What is not on either list is new, and must be put on one.
const OTHERS: &str = "
    acquirers.id acquirers.name
    audit.kind audit.actor audit.subject audit.detail audit.prev_hash audit.hash audit_end.hash
    batch_items.sn batch_results.code batch_results.text batch_results.fingerprint
    batches.digest batches.package batches.receipt
    ceremonies.nonce ceremonies.station ceremonies.operator ceremonies.operator_serial
    certificates.sha256 certificates.role certificates.der
    collection_windows.request_digest collection_windows.sn collection_windows.asked_by
    collection_windows.asked_by_serial collection_windows.opened_by collection_windows.opened_by_serial
    collection_windows.fingerprint
    collections.digest collections.package collections.signer collections.signer_serial collections.acquirer
    collections.station collections.second_signer collections.second_signer_serial
    deployments.vendor deployments.target deployments.time_window deployments.stages deployments.state
    deployments.created_by
    device_certificates.spki_sha256 device_certificates.sha256 device_certificates.sn
    device_certificates.key_serial device_certificates.der
    devices.sn devices.key_serial devices.dik1 devices.dik2_kcv devices.factor_digest devices.dmk_kcv
    dik1s.label dik1s.acquirer dik1s.model dik1s.batch dik1s.kcv
    estate_imports.source
    file_chunks.vendor file_chunks.path file_chunks.data files.vendor files.path files.sha256
    identities.sn identities.terminal_id identities.merchant_id
    key_suites.sn key_suites.key
    kld_reports.content_digest kld_reports.kld kld_reports.run
    load_counters.key_serial
    offers.sn offers.state operators.id operators.sealed
    order_serials.sn orders.name orders.vendor orders.buyer orders.model orders.serials_digest orders.package
    orders.asked_by orders.asked_by_serial orders.approved_by orders.approved_by_serial
    packages.vendor packages.name packages.version packages.models packages.sha256 packages.certificate
    packages.intermediates packages.signature packages.approval_certificate packages.approval_intermediates
    packages.approval_signature packages.requires packages.path
    past_tks.sn past_tks.fingerprint
    received_batches.content_digest received_batches.partner
    received_items.sn received_items.code received_items.text received_items.fingerprint
    replacements.device_der replacements.device_sha256 replacements.device_spki_sha256 replacements.tk_digest
    seen_tks.digest seen_tks.sn terminals.tk_digest
    refusals.sn refusals.check refusals.reading refusals.source
    replacements.sn replacements.key_serial replacements.vendor replacements.model replacements.ctk_pu
    replacements.work_certificate_sha256 replacements.fingerprint replacements.state replacements.decided_by
    replacements.decided_by_serial
    revocation_lists.issuer revocation_lists.number revocation_lists.der
    sign_ins.sn sign_ins.rnd1
    suite_allowances.digest suite_allowances.sn suite_allowances.reason suite_allowances.asked_by
    suite_allowances.asked_by_serial suite_allowances.approved_by suite_allowances.approved_by_serial
    terminal_groups.name terminal_groups.sn
    terminals.sn terminals.key_serial terminals.acquirer terminals.vendor terminals.model terminals.ctk_pu
    terminals.work_certificate_sha256 terminals.fingerprint terminals.collected_under
    tmks.sn tmks.state tmks.key_serial tmks.kcv
    tms_terminals.sn tms_terminals.installed tms_terminals.status
    vendor_roots.vendor vendor_roots.der
    vendors.id vendors.name vendors.models vendors.repository
    work_keys.certificate_sha256 work_keys.spki work_keys.state work_keys.role work_keys.intermediates
    working_keys.sn working_keys.kind working_keys.state working_keys.key_serial working_keys.kcv
    zone_keys.zone zone_keys.state zone_keys.algorithm zone_keys.kcv
";

/// Every column of texts or bytes.
fn columns(world: &World) -> BTreeSet<String> {
    let sql = world.sql();
    let mut rows = sql
        .prepare(
            "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> 'refinery_schema_history' AND c.type <> 'INTEGER'",
        )
        .unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// X9.143 version D, under the HSM's master key: its length, a use that it may have, and whose it is.
fn assert_is_a_block(what: &str, block: &str, whose: &str, uses: &[&str]) {
    assert_eq!(&block[..1], "D", "{what}");
    assert_eq!(block[1..5].parse(), Ok(block.len()), "{what}");
    assert!(block.bytes().all(|byte| byte.is_ascii_graphic()), "{what}");
    assert!(uses.contains(&&block[5..9]), "{what}: {}", &block[..16]);
    assert!(block[16..].contains(whose), "{what}: the block of {whose} does not say so");
}

#[test]
fn r3_every_column_of_the_database_is_known_to_hold_keys_or_none() {
    let yard = World::new();
    let keys = KEYS.iter().map(|(table, column, ..)| format!("{table}.{column}"));
    let known: BTreeSet<String> = OTHERS.split_whitespace().map(str::to_owned).chain(keys).collect();
    assert_eq!(columns(&yard), known);
}

#[test]
fn r3_every_key_of_the_database_is_a_key_block_of_its_place() {
    let (yard, _server) = Yard::new();
    for operation in &OPERATIONS {
        assert!((operation.act)(&yard), "{}", operation.name);
    }
    let sql = yard.world.sql();
    for (table, column, whose, uses) in &KEYS {
        let whose = if whose.is_empty() { "''" } else { whose };
        let query = format!("SELECT {column}, {whose} FROM {table} WHERE {column} IS NOT NULL");
        let mut rows = sql.prepare(&query).unwrap();
        let blocks: Vec<(String, String)> =
            rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
        assert!(*table == "replacements" || !blocks.is_empty(), "{table}.{column} holds nothing");
        for (block, whose) in blocks {
            assert_is_a_block(&format!("{table}.{column}"), &block, &whose, uses);
        }
    }
}
