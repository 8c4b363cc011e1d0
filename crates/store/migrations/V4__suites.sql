-- The EC/AES suite (3-hardened.md): which suite each key is on, load counters, ceremonies, device keys.

-- Which suite each key of a terminal has proved (`suite`), and which the key has that is held now (`in_use`). `key` is
-- `tk`, `dik2`, `dmk` or `slot/NN`. What was proved never goes down; what is held may, while an allowance runs.
CREATE TABLE key_suites (
    sn     TEXT    NOT NULL REFERENCES terminals (sn),
    key    TEXT    NOT NULL,
    suite  INTEGER NOT NULL CHECK (suite BETWEEN 1 AND 255),
    in_use INTEGER NOT NULL CHECK (in_use BETWEEN 1 AND suite),
    since  INTEGER NOT NULL,
    PRIMARY KEY (sn, key),
    CHECK (key IN ('tk', 'dik2', 'dmk') OR key GLOB 'slot/[0-9][0-9]')
) STRICT, WITHOUT ROWID;

-- Leave to use a lower suite: two people, a reason, an end.
CREATE TABLE suite_allowances (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    digest             BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    sn                 TEXT    NOT NULL REFERENCES terminals (sn),
    suite              INTEGER NOT NULL CHECK (suite BETWEEN 1 AND 255),
    reason             TEXT    NOT NULL CHECK (length(reason) > 0),
    asked_by           TEXT    NOT NULL,
    asked_by_serial    TEXT    NOT NULL,
    approved_by        TEXT    NOT NULL,
    approved_by_serial TEXT    NOT NULL,
    allowed_at         INTEGER NOT NULL,
    until              INTEGER NOT NULL,
    ended_at           INTEGER,
    CHECK (asked_by <> approved_by AND asked_by_serial <> approved_by_serial)
) STRICT;

CREATE UNIQUE INDEX one_running_allowance ON suite_allowances (sn) WHERE ended_at IS NULL;

CREATE TRIGGER allowances_end_once BEFORE UPDATE ON suite_allowances
WHEN OLD.ended_at IS NOT NULL OR NEW.ended_at IS NULL OR NEW.id <> OLD.id OR NEW.sn <> OLD.sn
    OR NEW.suite <> OLD.suite OR NEW.until <> OLD.until OR NEW.asked_by <> OLD.asked_by
    OR NEW.approved_by <> OLD.approved_by OR NEW.reason <> OLD.reason
BEGIN
    SELECT RAISE(ABORT, 'an allowance is ended once and never altered');
END;

CREATE TRIGGER allowances_are_never_deleted BEFORE DELETE ON suite_allowances
BEGIN
    SELECT RAISE(ABORT, 'an allowance is ended, not deleted');
END;

CREATE TRIGGER suites_only_rise BEFORE UPDATE ON key_suites
WHEN NEW.suite < OLD.suite OR NEW.sn <> OLD.sn OR NEW.key <> OLD.key
BEGIN
    SELECT RAISE(ABORT, 'what suite a key has proved only rises');
END;

CREATE TRIGGER suites_are_never_forgotten BEFORE DELETE ON key_suites
BEGIN
    SELECT RAISE(ABORT, 'what suite a key has proved only rises');
END;

CREATE TRIGGER lower_suites_need_leave BEFORE UPDATE ON key_suites
WHEN NEW.in_use < OLD.suite AND NOT EXISTS (
    SELECT 1 FROM suite_allowances
    WHERE sn = NEW.sn AND suite <= NEW.in_use AND ended_at IS NULL AND until > NEW.since)
BEGIN
    SELECT RAISE(ABORT, 'a key goes to a lower suite only while an allowance runs');
END;

-- What was there before this layout: check values of three bytes are those of suite 01.
INSERT INTO key_suites (sn, key, suite, in_use, since)
    SELECT sn, 'tk', suite, suite, changed_at FROM terminals WHERE ctk_pu IS NOT NULL OR tek IS NOT NULL;
INSERT INTO key_suites (sn, key, suite, in_use, since)
    SELECT sn, 'dik2', 1, 1, loaded_at FROM devices WHERE dik1 IS NOT NULL;
INSERT INTO key_suites (sn, key, suite, in_use, since)
    SELECT sn, 'dmk', 1, 1, loaded_at FROM devices WHERE dmk IS NOT NULL;
INSERT INTO key_suites (sn, key, suite, in_use, since)
    SELECT sn, 'slot/' || printf('%02d', slot), 1, 1, changed_at FROM tmks WHERE state = 'active';

CREATE INDEX suites_in_use ON key_suites (in_use, sn);

-- The last load counter given for a slot of a PIN pad.
CREATE TABLE load_counters (
    key_serial TEXT    NOT NULL,
    slot       INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 99),
    counter    INTEGER NOT NULL CHECK (counter >= 1),
    PRIMARY KEY (key_serial, slot)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER load_counters_only_rise BEFORE UPDATE ON load_counters
WHEN NEW.counter <= OLD.counter OR NEW.key_serial <> OLD.key_serial OR NEW.slot <> OLD.slot
BEGIN
    SELECT RAISE(ABORT, 'a load counter only rises');
END;

CREATE TRIGGER load_counters_are_never_forgotten BEFORE DELETE ON load_counters
BEGIN
    SELECT RAISE(ABORT, 'a load counter only rises');
END;

-- Nonces for collecting: each for one station and one day, or for one collection window.
CREATE TABLE ceremonies (
    nonce             BLOB    NOT NULL PRIMARY KEY CHECK (length(nonce) = 32),
    station           TEXT    NOT NULL,
    operator          TEXT    NOT NULL,
    operator_serial   TEXT    NOT NULL,
    collection_window INTEGER UNIQUE REFERENCES collection_windows (id),
    given_at          INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL CHECK (expires_at > given_at)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER ceremonies_are_never_altered BEFORE UPDATE ON ceremonies
BEGIN
    SELECT RAISE(ABORT, 'a ceremony is never altered');
END;

-- Device keys that were seen: each belongs to one PIN pad of the estate.
CREATE TABLE device_certificates (
    spki_sha256 TEXT    NOT NULL PRIMARY KEY,
    sha256      TEXT    NOT NULL,
    sn          TEXT    NOT NULL,
    key_serial  TEXT    NOT NULL,
    der         BLOB    NOT NULL,
    generation  INTEGER NOT NULL CHECK (generation >= 0),
    created_at  INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX device_certificates_by_pin_pad ON device_certificates (key_serial, generation);

CREATE TRIGGER device_keys_stay_in_their_pin_pad BEFORE UPDATE ON device_certificates
WHEN NEW.spki_sha256 <> OLD.spki_sha256 OR NEW.key_serial <> OLD.key_serial OR NEW.generation <= OLD.generation
BEGIN
    SELECT RAISE(ABORT, 'a device key stays in its PIN pad, and its generation only rises');
END;

CREATE TRIGGER generations_only_rise BEFORE INSERT ON device_certificates
WHEN NEW.generation <= (SELECT max(generation) FROM device_certificates WHERE key_serial = NEW.key_serial)
BEGIN
    SELECT RAISE(ABORT, 'a PIN pad''s generation only rises');
END;

-- Which generation (DF18) a terminal's TK of suite 02 is.
ALTER TABLE terminals ADD COLUMN device_generation INTEGER;

-- Replacements anew: a TK may wait as blocks as well as as ciphertext.
CREATE TABLE replacements_of_suites (
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
    work_certificate_sha256 TEXT    NOT NULL REFERENCES work_keys (certificate_sha256),
    fingerprint             TEXT    NOT NULL,
    collection              INTEGER NOT NULL REFERENCES collections (id),
    state                   TEXT    NOT NULL CHECK (state IN ('waiting', 'approved', 'rejected', 'overtaken')),
    decided_by              TEXT,
    decided_by_serial       TEXT,
    decided_at              INTEGER,
    CHECK ((ctk_pu IS NULL) <> (tek IS NULL)),
    CHECK ((tek IS NULL) = (auk IS NULL) AND (tek IS NULL) = (device_generation IS NULL))
) STRICT;

INSERT INTO replacements_of_suites (id, sn, key_serial, vendor, model, suite, ctk_pu, work_certificate_sha256,
        fingerprint, collection, state, decided_by, decided_by_serial, decided_at)
    SELECT id, sn, key_serial, vendor, model, suite, ctk_pu, work_certificate_sha256, fingerprint, collection, state,
        decided_by, decided_by_serial, decided_at
    FROM replacements;

-- An id is never used again.
DELETE FROM sqlite_sequence WHERE name = 'replacements_of_suites';
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'replacements_of_suites', seq FROM sqlite_sequence WHERE name = 'replacements';

DROP TABLE replacements;
ALTER TABLE replacements_of_suites RENAME TO replacements;

CREATE UNIQUE INDEX one_waiting_replacement ON replacements (sn) WHERE state = 'waiting';

CREATE TRIGGER replacements_are_decided_once BEFORE UPDATE ON replacements
WHEN OLD.state <> 'waiting' OR NEW.id <> OLD.id OR NEW.sn <> OLD.sn OR NEW.key_serial <> OLD.key_serial
    OR NEW.fingerprint <> OLD.fingerprint OR NEW.collection <> OLD.collection OR NEW.suite <> OLD.suite
    OR NEW.tek IS NOT OLD.tek OR NEW.auk IS NOT OLD.auk OR NEW.ctk_pu IS NOT OLD.ctk_pu
BEGIN
    SELECT RAISE(ABORT, 'a replacement is decided once and never altered');
END;

-- Collected packages of suite 02 have two signers.
ALTER TABLE collections ADD COLUMN second_signer TEXT;
ALTER TABLE collections ADD COLUMN second_signer_serial TEXT;

-- Sign-ins anew: the opener's nonce has 8 bytes in suite 01 and 32 in suite 02.
CREATE TABLE sign_ins_of_suites (
    sn         TEXT    NOT NULL REFERENCES terminals (sn),
    slot       INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 99),
    tmk        INTEGER NOT NULL REFERENCES tmks (id),
    rnd1       BLOB    NOT NULL CHECK (length(rnd1) IN (8, 32)),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (sn, slot)
) STRICT, WITHOUT ROWID;

INSERT INTO sign_ins_of_suites (sn, slot, tmk, rnd1, created_at) SELECT sn, slot, tmk, rnd1, created_at FROM sign_ins;
DROP TABLE sign_ins;
ALTER TABLE sign_ins_of_suites RENAME TO sign_ins;

-- A work key is of one suite; one of each role and suite is active.
ALTER TABLE work_keys ADD COLUMN suite INTEGER NOT NULL DEFAULT 1 CHECK (suite BETWEEN 1 AND 255);
DROP INDEX one_active_work_key_of_a_role;
CREATE UNIQUE INDEX one_active_work_key_of_a_role ON work_keys (role, suite) WHERE state = 'active';

CREATE TRIGGER work_keys_keep_their_suite BEFORE UPDATE OF suite ON work_keys
WHEN NEW.suite <> OLD.suite
BEGIN
    SELECT RAISE(ABORT, 'a work key keeps its suite');
END;
