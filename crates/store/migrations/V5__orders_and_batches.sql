-- Production orders, and transport keys that travel from an MTMS to a KMS in batches.

-- An order, as an operator and an administrator signed it. `listed` is how many serials it has, NULL where the list was
-- left out; `serials_digest` is over them, in order of their bytes.
CREATE TABLE orders (
    id                 INTEGER PRIMARY KEY,
    name               TEXT    NOT NULL UNIQUE,
    vendor             TEXT    NOT NULL,
    buyer              TEXT    NOT NULL,
    model              TEXT    NOT NULL,
    listed             INTEGER CHECK (listed > 0),
    serials_digest     BLOB    NOT NULL CHECK (length(serials_digest) = 32),
    package            BLOB    NOT NULL,
    asked_by           TEXT    NOT NULL,
    asked_by_serial    TEXT    NOT NULL,
    approved_by        TEXT    NOT NULL,
    approved_by_serial TEXT    NOT NULL,
    added_at           INTEGER NOT NULL,
    closed_at          INTEGER,
    CHECK (asked_by <> approved_by AND asked_by_serial <> approved_by_serial)
) STRICT;

CREATE TRIGGER orders_are_closed_once BEFORE UPDATE ON orders
WHEN OLD.closed_at IS NOT NULL OR NEW.closed_at IS NULL OR NEW.id <> OLD.id OR NEW.name <> OLD.name
    OR NEW.vendor <> OLD.vendor OR NEW.buyer <> OLD.buyer OR NEW.model <> OLD.model
    OR NEW.listed IS NOT OLD.listed OR NEW.serials_digest <> OLD.serials_digest OR NEW.package <> OLD.package
    OR NEW.asked_by <> OLD.asked_by OR NEW.asked_by_serial <> OLD.asked_by_serial
    OR NEW.approved_by <> OLD.approved_by OR NEW.approved_by_serial <> OLD.approved_by_serial
    OR NEW.added_at <> OLD.added_at
BEGIN
    SELECT RAISE(ABORT, 'an order is closed once and never altered');
END;

CREATE TRIGGER orders_are_never_deleted BEFORE DELETE ON orders
BEGIN
    SELECT RAISE(ABORT, 'an order is closed, not deleted');
END;

-- An order's serials are entered before it, in the same transaction; then the list is complete.
CREATE TABLE order_serials (
    order_id INTEGER NOT NULL REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED,
    sn       TEXT    NOT NULL,
    PRIMARY KEY (order_id, sn)
) STRICT, WITHOUT ROWID;

CREATE INDEX orders_of_a_serial ON order_serials (sn);

CREATE TRIGGER lists_are_complete_with_their_order BEFORE INSERT ON order_serials
WHEN EXISTS (SELECT 1 FROM orders WHERE id = NEW.order_id)
BEGIN
    SELECT RAISE(ABORT, 'an order''s list is complete when the order is entered');
END;

CREATE TRIGGER a_serial_stands_in_one_open_order BEFORE INSERT ON order_serials
WHEN EXISTS (SELECT 1 FROM order_serials s JOIN orders o ON o.id = s.order_id
             WHERE s.sn = NEW.sn AND o.closed_at IS NULL)
BEGIN
    SELECT RAISE(ABORT, 'a serial stands in one open order');
END;

CREATE TRIGGER lists_are_never_altered BEFORE UPDATE ON order_serials
BEGIN
    SELECT RAISE(ABORT, 'an order''s list is never altered');
END;

CREATE TRIGGER lists_are_never_shortened BEFORE DELETE ON order_serials
BEGIN
    SELECT RAISE(ABORT, 'an order''s list is never altered');
END;

-- At the MTMS: batches, kept with their bytes before they are sent.
CREATE TABLE batches (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id    INTEGER NOT NULL REFERENCES orders (id),
    digest      BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    package     BLOB    NOT NULL,
    terminals   INTEGER NOT NULL CHECK (terminals > 0),
    accepted    INTEGER NOT NULL DEFAULT 0 CHECK (accepted BETWEEN 0 AND terminals),
    created_at  INTEGER NOT NULL,
    answered_at INTEGER,
    receipt     BLOB,
    CHECK ((answered_at IS NULL) = (receipt IS NULL))
) STRICT;

CREATE INDEX batches_of_an_order ON batches (order_id, id);
CREATE INDEX batches_without_receipt ON batches (order_id, id) WHERE answered_at IS NULL;

CREATE TRIGGER batches_are_answered_once BEFORE UPDATE ON batches
WHEN OLD.answered_at IS NOT NULL OR NEW.answered_at IS NULL OR NEW.id <> OLD.id OR NEW.order_id <> OLD.order_id
    OR NEW.digest <> OLD.digest OR NEW.package <> OLD.package OR NEW.terminals <> OLD.terminals
    OR NEW.created_at <> OLD.created_at
BEGIN
    SELECT RAISE(ABORT, 'a batch is answered once and never altered');
END;

CREATE TRIGGER batches_are_never_deleted BEFORE DELETE ON batches
BEGIN
    SELECT RAISE(ABORT, 'a batch is never deleted: its keys went somewhere');
END;

CREATE TABLE batch_items (
    batch         INTEGER NOT NULL REFERENCES batches (id),
    position      INTEGER NOT NULL CHECK (position >= 0),
    sn            TEXT    NOT NULL REFERENCES terminals (sn),
    tk_generation INTEGER NOT NULL,
    PRIMARY KEY (batch, position)
) STRICT, WITHOUT ROWID;

-- The MTMS gives a TK to one KMS, once.
CREATE UNIQUE INDEX a_tk_goes_to_one_kms_once ON batch_items (sn, tk_generation);

-- Also keeps INSERT OR REPLACE off: it would delete a row without the trigger for that.
CREATE TRIGGER batch_items_are_never_replaced BEFORE INSERT ON batch_items
WHEN EXISTS (SELECT 1 FROM batch_items WHERE sn = NEW.sn AND tk_generation = NEW.tk_generation)
    OR EXISTS (SELECT 1 FROM batch_items WHERE batch = NEW.batch AND position = NEW.position)
BEGIN
    SELECT RAISE(ABORT, 'a TK goes to one KMS, once');
END;

CREATE TRIGGER batch_items_are_never_altered BEFORE UPDATE ON batch_items
BEGIN
    SELECT RAISE(ABORT, 'a batch item is never altered');
END;

CREATE TRIGGER batch_items_are_never_deleted BEFORE DELETE ON batch_items
BEGIN
    SELECT RAISE(ABORT, 'a batch item is never altered');
END;

-- What the KMS's receipt says of each.
CREATE TABLE batch_results (
    batch       INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    ok          INTEGER NOT NULL CHECK (ok IN (0, 1)),
    code        TEXT    NOT NULL,
    text        TEXT    NOT NULL,
    fingerprint TEXT,
    PRIMARY KEY (batch, position),
    FOREIGN KEY (batch, position) REFERENCES batch_items (batch, position)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER batch_results_are_never_altered BEFORE UPDATE ON batch_results
BEGIN
    SELECT RAISE(ABORT, 'what a receipt says is never altered');
END;

CREATE TRIGGER batch_results_are_never_deleted BEFORE DELETE ON batch_results
BEGIN
    SELECT RAISE(ABORT, 'what a receipt says is never altered');
END;

-- At the KMS: batches that it took. As with KLD reports, the signed package is the row of `collections` with the same id.
CREATE TABLE received_batches (
    id             INTEGER NOT NULL PRIMARY KEY REFERENCES collections (id),
    order_id       INTEGER NOT NULL REFERENCES orders (id),
    content_digest BLOB    NOT NULL UNIQUE CHECK (length(content_digest) = 32),
    partner        TEXT    NOT NULL,
    terminals      INTEGER NOT NULL CHECK (terminals > 0),
    accepted       INTEGER NOT NULL CHECK (accepted BETWEEN 0 AND terminals)
) STRICT;

CREATE INDEX received_batches_of_an_order ON received_batches (order_id, id);

CREATE TRIGGER received_batches_are_never_altered BEFORE UPDATE ON received_batches
BEGIN
    SELECT RAISE(ABORT, 'a batch that was received is never altered');
END;

CREATE TRIGGER received_batches_are_never_deleted BEFORE DELETE ON received_batches
BEGIN
    SELECT RAISE(ABORT, 'a batch that was received is never altered');
END;

-- `sn` is what the batch has, which may be no serial at all.
CREATE TABLE received_items (
    batch       INTEGER NOT NULL REFERENCES received_batches (id),
    position    INTEGER NOT NULL CHECK (position >= 0),
    sn          TEXT    NOT NULL,
    ok          INTEGER NOT NULL CHECK (ok IN (0, 1)),
    code        TEXT    NOT NULL,
    text        TEXT    NOT NULL,
    fingerprint TEXT,
    PRIMARY KEY (batch, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX received_items_by_serial ON received_items (sn, batch);

CREATE TRIGGER received_items_are_never_altered BEFORE UPDATE ON received_items
BEGIN
    SELECT RAISE(ABORT, 'what was answered to a batch is never altered');
END;

CREATE TRIGGER received_items_are_never_deleted BEFORE DELETE ON received_items
BEGIN
    SELECT RAISE(ABORT, 'what was answered to a batch is never altered');
END;

-- Under which work certificate a TK was collected, also when it is held as blocks; NULL for one that came in a batch, or
-- before this layout.
ALTER TABLE terminals ADD COLUMN collected_under TEXT;
UPDATE terminals SET collected_under = work_certificate_sha256;

-- Which key a TK is, without telling the key: SHA-256 of the ciphertext, or what the HSM says of one that came in a batch.
-- NULL where no one can tell any more, and for suite 02 as a station collects it: each ceremony seals it anew.
-- `keyferry_sha256` is this program's own, and there while migrations run.
ALTER TABLE terminals ADD COLUMN tk_digest BLOB CHECK (length(tk_digest) = 32);
UPDATE terminals SET tk_digest = keyferry_sha256(ctk_pu) WHERE ctk_pu IS NOT NULL;

-- TKs that were replaced: which package each came in stays known.
CREATE TABLE past_tks (
    sn            TEXT    NOT NULL REFERENCES terminals (sn),
    tk_generation INTEGER NOT NULL,
    fingerprint   TEXT    NOT NULL,
    collection    INTEGER NOT NULL REFERENCES collections (id),
    until         INTEGER NOT NULL,
    PRIMARY KEY (sn, tk_generation)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER tks_leave_a_trace AFTER UPDATE OF tk_generation ON terminals
WHEN NEW.tk_generation > OLD.tk_generation
BEGIN
    INSERT INTO past_tks (sn, tk_generation, fingerprint, collection, until)
    VALUES (OLD.sn, OLD.tk_generation, OLD.fingerprint, OLD.collection, NEW.changed_at);
END;

CREATE TRIGGER past_tks_are_never_altered BEFORE UPDATE ON past_tks
BEGIN
    SELECT RAISE(ABORT, 'a TK that was replaced stays on record');
END;

CREATE TRIGGER past_tks_are_never_deleted BEFORE DELETE ON past_tks
BEGIN
    SELECT RAISE(ABORT, 'a TK that was replaced stays on record');
END;

-- Replacements anew: a TK that came in a batch is a pair of blocks in either suite, and was collected under a certificate
-- that is none of ours.
CREATE TABLE replacements_by_batch (
    id                      INTEGER PRIMARY KEY AUTOINCREMENT,
    sn                      TEXT    NOT NULL REFERENCES terminals (sn),
    key_serial              TEXT    NOT NULL,
    vendor                  TEXT,
    model                   TEXT,
    suite                   INTEGER NOT NULL,
    ctk_pu                  BLOB,
    tek                     TEXT,
    auk                     TEXT,
    device_generation       INTEGER,
    tk_digest               BLOB CHECK (length(tk_digest) = 32),
    -- The device key that signed it, which takes effect with the approval; NULL where it took effect before this layout.
    device_spki_sha256      TEXT,
    device_sha256           TEXT,
    device_der              BLOB,
    work_certificate_sha256 TEXT REFERENCES work_keys (certificate_sha256),
    fingerprint             TEXT    NOT NULL,
    collection              INTEGER NOT NULL REFERENCES collections (id),
    state                   TEXT    NOT NULL CHECK (state IN ('waiting', 'approved', 'rejected', 'overtaken')),
    decided_by              TEXT,
    decided_by_serial       TEXT,
    decided_at              INTEGER,
    CHECK ((ctk_pu IS NULL) <> (tek IS NULL)),
    CHECK ((tek IS NULL) = (auk IS NULL)),
    CHECK (ctk_pu IS NULL OR work_certificate_sha256 IS NOT NULL),
    -- Above suite 01 a TK has a generation.
    CHECK ((device_generation IS NULL) = (suite = 1)),
    CHECK ((device_spki_sha256 IS NULL) = (device_der IS NULL) AND (device_sha256 IS NULL) = (device_der IS NULL))
) STRICT;

INSERT INTO replacements_by_batch (id, sn, key_serial, vendor, model, suite, ctk_pu, tek, auk, device_generation,
        tk_digest, work_certificate_sha256, fingerprint, collection, state, decided_by, decided_by_serial, decided_at)
    SELECT id, sn, key_serial, vendor, model, suite, ctk_pu, tek, auk, device_generation,
        iif(ctk_pu IS NULL, NULL, keyferry_sha256(ctk_pu)), work_certificate_sha256, fingerprint, collection, state, decided_by, decided_by_serial, decided_at
    FROM replacements;

-- An id is never used again.
DELETE FROM sqlite_sequence WHERE name = 'replacements_by_batch';
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'replacements_by_batch', seq FROM sqlite_sequence WHERE name = 'replacements';

DROP TABLE replacements;
ALTER TABLE replacements_by_batch RENAME TO replacements;

CREATE UNIQUE INDEX one_waiting_replacement ON replacements (sn) WHERE state = 'waiting';
CREATE INDEX replacements_by_terminal ON replacements (sn, id);
CREATE INDEX device_keys_that_wait ON replacements (device_spki_sha256) WHERE state = 'waiting';

CREATE TRIGGER replacements_are_decided_once BEFORE UPDATE ON replacements
WHEN OLD.state <> 'waiting' OR NEW.id <> OLD.id OR NEW.sn <> OLD.sn OR NEW.key_serial <> OLD.key_serial
    OR NEW.fingerprint <> OLD.fingerprint OR NEW.collection <> OLD.collection OR NEW.suite <> OLD.suite
    OR NEW.tek IS NOT OLD.tek OR NEW.auk IS NOT OLD.auk OR NEW.ctk_pu IS NOT OLD.ctk_pu
    OR NEW.tk_digest IS NOT OLD.tk_digest OR NEW.device_der IS NOT OLD.device_der
    OR NEW.device_generation IS NOT OLD.device_generation
BEGIN
    SELECT RAISE(ABORT, 'a replacement is decided once and never altered');
END;

-- Each TK that a terminal had or has, or that waits or waited for one: a TK is one terminal's, once.
CREATE TABLE seen_tks (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    sn     TEXT NOT NULL REFERENCES terminals (sn)
) STRICT, WITHOUT ROWID;

-- Where an earlier layout let two terminals have one TK, it is the first one's.
INSERT OR IGNORE INTO seen_tks (digest, sn)
    SELECT tk_digest, sn FROM terminals WHERE tk_digest IS NOT NULL ORDER BY created_at, sn;
INSERT OR IGNORE INTO seen_tks (digest, sn)
    SELECT tk_digest, sn FROM replacements WHERE tk_digest IS NOT NULL ORDER BY id;

-- Also keeps INSERT OR REPLACE off: it would delete a row without the trigger for that.
CREATE TRIGGER seen_tks_are_never_replaced BEFORE INSERT ON seen_tks
WHEN EXISTS (SELECT 1 FROM seen_tks WHERE digest = NEW.digest)
BEGIN
    SELECT RAISE(ABORT, 'a TK is one terminal''s, once');
END;

CREATE TRIGGER seen_tks_are_never_altered BEFORE UPDATE ON seen_tks
BEGIN
    SELECT RAISE(ABORT, 'a TK that was seen stays on record');
END;

CREATE TRIGGER seen_tks_are_never_deleted BEFORE DELETE ON seen_tks
BEGIN
    SELECT RAISE(ABORT, 'a TK that was seen stays on record');
END;
