-- Local loading, the remote key server, refusals and collection windows (flows B, C and D).

-- A work key serves either the KMS (flow A) or the RKS (flow C); one of each is active. `intermediates` is what RKS_CERT
-- brings along: certificates between the work certificate and its root, DER, one behind the other, nearest first.
ALTER TABLE work_keys ADD COLUMN role TEXT NOT NULL DEFAULT 'kms-work' CHECK (role IN ('kms-work', 'rks-work'));
ALTER TABLE work_keys ADD COLUMN intermediates BLOB NOT NULL DEFAULT x'';
DROP INDEX one_active_work_key;
CREATE UNIQUE INDEX one_active_work_key_of_a_role ON work_keys (role) WHERE state = 'active';

CREATE TRIGGER work_keys_keep_their_role BEFORE UPDATE OF role ON work_keys
WHEN NEW.role <> OLD.role
BEGIN
    SELECT RAISE(ABORT, 'a work key keeps its role');
END;

-- Device identity keys, level 1: for all devices of an acquirer, or for those of one model and batch.
CREATE TABLE dik1s (
    label      TEXT    NOT NULL PRIMARY KEY,
    acquirer   TEXT    NOT NULL REFERENCES acquirers (id),
    model      TEXT,
    batch      TEXT,
    block      TEXT    NOT NULL,
    kcv        BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    CHECK ((model IS NULL) = (batch IS NULL))
) STRICT;

CREATE TRIGGER dik1s_are_never_changed BEFORE UPDATE ON dik1s
BEGIN
    SELECT RAISE(ABORT, 'a DIK1 is never changed: devices were derived from it');
END;

-- Runs of key loading devices. The signed package itself is a row of `collections`, with the same id: what is known of a
-- terminal stays traceable to whoever signed it.
CREATE TABLE kld_reports (
    id             INTEGER NOT NULL PRIMARY KEY REFERENCES collections (id),
    content_digest BLOB    NOT NULL UNIQUE CHECK (length(content_digest) = 32),
    kld            TEXT    NOT NULL,
    run            TEXT    NOT NULL,
    opened_at      INTEGER NOT NULL,
    closed_at      INTEGER NOT NULL
) STRICT;

-- What a KLD has put into a terminal's PIN pad beside TMKs: DIK2 (by its factor) and DMK.
CREATE TABLE devices (
    sn            TEXT    NOT NULL PRIMARY KEY REFERENCES terminals (sn),
    key_serial    TEXT    NOT NULL,
    dik1          TEXT    REFERENCES dik1s (label),
    dik2_kcv      BLOB,
    factor_digest BLOB    CHECK (length(factor_digest) = 32),
    factor        TEXT,
    dmk           TEXT,
    dmk_kcv       BLOB,
    report        INTEGER NOT NULL REFERENCES kld_reports (id),
    loaded_at     INTEGER NOT NULL,
    compromised   INTEGER NOT NULL DEFAULT 0 CHECK (compromised IN (0, 1)),
    created_at    INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    -- A DIK2 whole or not at all; a DMK likewise.
    CHECK ((dik1 IS NULL) = (dik2_kcv IS NULL) AND (dik1 IS NULL) = (factor_digest IS NULL)
        AND (dik1 IS NULL) = (factor IS NULL)),
    CHECK ((dmk IS NULL) = (dmk_kcv IS NULL))
) STRICT;

-- PIK and MAK of a TMK's slot, as the RKS gives them.
CREATE TABLE working_keys (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    sn         TEXT    NOT NULL REFERENCES terminals (sn),
    slot       INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 99),
    kind       TEXT    NOT NULL CHECK (kind IN ('pik', 'mak')),
    state      TEXT    NOT NULL CHECK (state IN ('pending', 'active')),
    block      TEXT    NOT NULL,
    kcv        BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX one_working_key_of_a_state ON working_keys (sn, slot, kind, state);

CREATE TRIGGER working_keys_start_pending BEFORE INSERT ON working_keys
WHEN NEW.state <> 'pending'
BEGIN
    SELECT RAISE(ABORT, 'a working key starts as pending');
END;

CREATE TRIGGER working_keys_keep_their_place BEFORE UPDATE OF id, sn, slot, kind, block, kcv ON working_keys
BEGIN
    SELECT RAISE(ABORT, 'a working key keeps its place');
END;

-- Why terminals refused to make or release a key, as they told it (FF23).
CREATE TABLE refusals (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    sn          TEXT    NOT NULL,
    "check"     TEXT    NOT NULL,
    reading     TEXT    NOT NULL,
    occurred_at INTEGER,
    received_at INTEGER NOT NULL,
    source      TEXT    NOT NULL
) STRICT;

CREATE INDEX refusals_by_terminal ON refusals (sn, id);

-- Collections that a terminal may ask for itself (COLLECT_ASK): each opened by two people, for one serial, once.
CREATE TABLE collection_windows (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    request_digest  BLOB    NOT NULL CHECK (length(request_digest) = 32),
    sn              TEXT    NOT NULL,
    asked_by        TEXT    NOT NULL,
    asked_by_serial TEXT    NOT NULL,
    opened_by        TEXT    NOT NULL,
    opened_by_serial TEXT    NOT NULL,
    opened_at       INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    used_at         INTEGER,
    fingerprint     TEXT,
    UNIQUE (request_digest, sn),
    CHECK (asked_by <> opened_by AND asked_by_serial <> opened_by_serial),
    CHECK ((used_at IS NULL) = (fingerprint IS NULL))
) STRICT;

CREATE INDEX windows_by_terminal ON collection_windows (sn, expires_at);

CREATE TRIGGER windows_are_used_once BEFORE UPDATE ON collection_windows
WHEN OLD.used_at IS NOT NULL OR NEW.used_at IS NULL OR NEW.sn <> OLD.sn OR NEW.expires_at <> OLD.expires_at
    OR NEW.asked_by <> OLD.asked_by OR NEW.opened_by <> OLD.opened_by
BEGIN
    SELECT RAISE(ABORT, 'a collection window is used once and never altered');
END;
