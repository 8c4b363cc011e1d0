-- The first layout. Times are Unix milliseconds. Blocks and ciphertext only: nothing here opens without the HSM.

CREATE TABLE acquirers (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE certificates (
    sha256     TEXT    NOT NULL PRIMARY KEY,
    role       TEXT    NOT NULL,
    der        BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE work_keys (
    certificate_sha256 TEXT    NOT NULL PRIMARY KEY REFERENCES certificates (sha256),
    private_block      TEXT    NOT NULL,
    spki               BLOB    NOT NULL,
    state              TEXT    NOT NULL CHECK (state IN ('active', 'opening-only')),
    created_at         INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX one_active_work_key ON work_keys (state) WHERE state = 'active';

-- The newest list of each issuer. A number takes eight bytes, big-endian: it may exceed SQLite's integers.
CREATE TABLE revocation_lists (
    issuer     TEXT    NOT NULL PRIMARY KEY,
    number     BLOB    NOT NULL CHECK (length(number) = 8),
    der        BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TRIGGER revocation_numbers_only_rise BEFORE UPDATE ON revocation_lists
WHEN NEW.number <= OLD.number
BEGIN
    SELECT RAISE(ABORT, 'a revocation list may only be replaced by a later one');
END;

-- Signed packages as they came: what makes every TK traceable to its operator.
CREATE TABLE collections (
    id            INTEGER PRIMARY KEY,
    digest        BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    package       BLOB    NOT NULL,
    signer        TEXT    NOT NULL,
    signer_serial TEXT    NOT NULL,
    acquirer      TEXT    NOT NULL REFERENCES acquirers (id),
    station       TEXT    NOT NULL,
    collected_at  INTEGER NOT NULL,
    uploaded_at   INTEGER NOT NULL
) STRICT;

-- key_serial is the serial that keys belong to: the PIN pad's, which is sn when built in. Unique, so that no two
-- terminals share a place.
CREATE TABLE terminals (
    sn                      TEXT    NOT NULL PRIMARY KEY,
    key_serial              TEXT    NOT NULL UNIQUE,
    acquirer                TEXT    NOT NULL REFERENCES acquirers (id),
    vendor                  TEXT,
    model                   TEXT,
    suite                   INTEGER NOT NULL,
    ctk_pu                  BLOB,
    work_certificate_sha256 TEXT REFERENCES work_keys (certificate_sha256),
    tek                     TEXT,
    auk                     TEXT,
    tk_generation           INTEGER NOT NULL CHECK (tk_generation >= 1),
    fingerprint             TEXT    NOT NULL,
    collection              INTEGER NOT NULL REFERENCES collections (id),
    created_at              INTEGER NOT NULL,
    changed_at              INTEGER NOT NULL,
    -- As ciphertext, as blocks, or not at all; never half of either, never both.
    CHECK ((ctk_pu IS NULL) = (work_certificate_sha256 IS NULL)),
    CHECK ((tek IS NULL) = (auk IS NULL)),
    CHECK (ctk_pu IS NULL OR tek IS NULL)
) STRICT;

CREATE INDEX terminals_by_acquirer ON terminals (acquirer);

CREATE TRIGGER tk_generations_only_rise BEFORE UPDATE OF tk_generation ON terminals
WHEN NEW.tk_generation < OLD.tk_generation
BEGIN
    SELECT RAISE(ABORT, 'a TK generation may only rise');
END;

CREATE TRIGGER pairs_change_with_the_tk BEFORE UPDATE OF sn, key_serial ON terminals
WHEN NEW.sn <> OLD.sn OR (NEW.key_serial <> OLD.key_serial AND NEW.tk_generation = OLD.tk_generation)
BEGIN
    SELECT RAISE(ABORT, 'a pair of serials changes only with an approved replacement');
END;

CREATE TABLE replacements (
    id                      INTEGER PRIMARY KEY AUTOINCREMENT,
    sn                      TEXT    NOT NULL REFERENCES terminals (sn),
    key_serial              TEXT    NOT NULL,
    vendor                  TEXT,
    model                   TEXT,
    suite                   INTEGER NOT NULL,
    ctk_pu                  BLOB    NOT NULL,
    work_certificate_sha256 TEXT    NOT NULL REFERENCES work_keys (certificate_sha256),
    fingerprint             TEXT    NOT NULL,
    collection              INTEGER NOT NULL REFERENCES collections (id),
    state                   TEXT    NOT NULL CHECK (state IN ('waiting', 'approved', 'rejected', 'overtaken')),
    decided_by              TEXT,
    decided_by_serial       TEXT,
    decided_at              INTEGER
) STRICT;

CREATE UNIQUE INDEX one_waiting_replacement ON replacements (sn) WHERE state = 'waiting';

CREATE TRIGGER replacements_are_decided_once BEFORE UPDATE ON replacements
WHEN OLD.state <> 'waiting' OR NEW.id <> OLD.id OR NEW.sn <> OLD.sn OR NEW.key_serial <> OLD.key_serial
    OR NEW.fingerprint <> OLD.fingerprint OR NEW.collection <> OLD.collection
BEGIN
    SELECT RAISE(ABORT, 'a replacement is decided once and never altered');
END;

-- TMKs. AUTOINCREMENT: an id is never used again, so a late confirmation cannot meet another key.
CREATE TABLE tmks (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    sn            TEXT    NOT NULL REFERENCES terminals (sn),
    slot          INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 99),
    state         TEXT    NOT NULL CHECK (state IN ('pending', 'active', 'retired', 'dropped')),
    key_serial    TEXT    NOT NULL,
    block         TEXT    NOT NULL,
    kcv           BLOB    NOT NULL,
    tk_generation INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    sent_count    INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX one_pending_per_slot ON tmks (sn, slot) WHERE state = 'pending';
CREATE UNIQUE INDEX one_active_per_slot ON tmks (sn, slot) WHERE state = 'active';
-- One small index for each state instead of one over all: making a key touches only that of the few pending ones.
CREATE INDEX retired_by_slot ON tmks (sn, slot, id) WHERE state = 'retired';

-- The slot's life cycle (Empty → Pending → Active → Retired), with Pending → Dropped beside it.
CREATE TRIGGER tmks_start_pending BEFORE INSERT ON tmks
WHEN NEW.state <> 'pending'
BEGIN
    SELECT RAISE(ABORT, 'a TMK starts as pending');
END;

CREATE TRIGGER tmks_keep_their_life_cycle BEFORE UPDATE OF state ON tmks
WHEN NOT ((OLD.state = 'pending' AND NEW.state IN ('active', 'dropped'))
    OR (OLD.state = 'active' AND NEW.state = 'retired'))
BEGIN
    SELECT RAISE(ABORT, 'a TMK goes from pending to active or dropped, and from active to retired');
END;

CREATE TRIGGER tmks_keep_their_place BEFORE UPDATE OF id, sn, slot, key_serial, kcv, tk_generation ON tmks
BEGIN
    SELECT RAISE(ABORT, 'a TMK keeps its place');
END;

-- The audit chain. hash covers prev_hash and everything else in the row.
CREATE TABLE audit (
    seq       INTEGER NOT NULL PRIMARY KEY,
    at        INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    actor     TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    detail    TEXT    NOT NULL,
    prev_hash BLOB    NOT NULL CHECK (length(prev_hash) = 32),
    hash      BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Also keeps INSERT OR REPLACE off: it would delete a row without the trigger for that.
CREATE TRIGGER audit_grows_by_one BEFORE INSERT ON audit
WHEN NEW.seq <> 1 + (SELECT coalesce(max(seq), 0) FROM audit)
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

-- Where the chain ends, kept apart from it, so that a tail cut off is found.
CREATE TABLE audit_end (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    seq  INTEGER NOT NULL,
    hash BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

INSERT INTO audit_end (only, seq, hash) VALUES (1, 0, zeroblob(32));

CREATE TRIGGER audit_end_only_advances BEFORE UPDATE ON audit_end
WHEN NEW.seq <= OLD.seq
BEGIN
    SELECT RAISE(ABORT, 'the audit only grows');
END;

CREATE TRIGGER audit_end_is_never_deleted BEFORE DELETE ON audit_end
BEGIN
    SELECT RAISE(ABORT, 'the audit only grows');
END;
