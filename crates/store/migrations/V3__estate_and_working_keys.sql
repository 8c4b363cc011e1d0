-- Terminal management, working keys from sign-ins, zone keys, and estates that move in (flows E and F).

-- A number that every act on vendors, packages, groups and deployments raises, so that a running server notices what
-- another process changed and reads its plans anew.
CREATE TABLE estate_version (
    only    INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL
) STRICT;

INSERT INTO estate_version (only, version) VALUES (1, 0);

CREATE TRIGGER estate_version_only_rises BEFORE UPDATE ON estate_version
WHEN NEW.version <= OLD.version
BEGIN
    SELECT RAISE(ABORT, 'the estate''s version only rises');
END;

-- Who makes terminals and their packages. `models` is a JSON array, empty for any; `repository` is JSON of the server.
CREATE TABLE vendors (
    id                TEXT    NOT NULL PRIMARY KEY,
    name              TEXT    NOT NULL,
    models            TEXT    NOT NULL,
    repository        TEXT    NOT NULL,
    approval_required INTEGER NOT NULL CHECK (approval_required IN (0, 1)),
    operator_required INTEGER NOT NULL CHECK (operator_required IN (0, 1)),
    created_at        INTEGER NOT NULL,
    changed_at        INTEGER NOT NULL
) STRICT;

CREATE TRIGGER vendors_raise_the_version_when_new AFTER INSERT ON vendors
BEGIN UPDATE estate_version SET version = version + 1; END;
CREATE TRIGGER vendors_raise_the_version AFTER UPDATE ON vendors
BEGIN UPDATE estate_version SET version = version + 1; END;

CREATE TABLE vendor_roots (
    vendor   TEXT    NOT NULL REFERENCES vendors (id),
    position INTEGER NOT NULL,
    der      BLOB    NOT NULL,
    PRIMARY KEY (vendor, position)
) STRICT, WITHOUT ROWID;

-- What is known of a package: its content is in its vendor's repository, at `path`. One content for each name and
-- version: a terminal asks by these two (TMS_GET).
CREATE TABLE packages (
    id                     INTEGER PRIMARY KEY AUTOINCREMENT,
    vendor                 TEXT    NOT NULL REFERENCES vendors (id),
    name                   TEXT    NOT NULL,
    version                TEXT    NOT NULL,
    kind                   INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 255),
    models                 TEXT    NOT NULL,
    size                   INTEGER NOT NULL CHECK (size >= 0),
    sha256                 BLOB    NOT NULL CHECK (length(sha256) = 32),
    certificate            BLOB    NOT NULL,
    intermediates          BLOB    NOT NULL,
    signature              BLOB    NOT NULL,
    approval_certificate   BLOB,
    approval_intermediates BLOB,
    approval_signature     BLOB,
    requires               TEXT    NOT NULL,
    path                   TEXT    NOT NULL,
    published_at           INTEGER NOT NULL,
    withdrawn_at           INTEGER,
    UNIQUE (vendor, name, version),
    CHECK ((approval_certificate IS NULL) = (approval_signature IS NULL)
        AND (approval_certificate IS NULL) = (approval_intermediates IS NULL))
) STRICT;

CREATE TRIGGER packages_keep_their_content BEFORE UPDATE ON packages
WHEN NEW.id <> OLD.id OR NEW.vendor <> OLD.vendor OR NEW.name <> OLD.name OR NEW.version <> OLD.version
    OR NEW.kind <> OLD.kind OR NEW.size <> OLD.size OR NEW.sha256 <> OLD.sha256 OR NEW.signature <> OLD.signature
BEGIN
    SELECT RAISE(ABORT, 'a package keeps its content: publish a new version');
END;

CREATE TRIGGER packages_are_withdrawn_once BEFORE UPDATE OF withdrawn_at ON packages
WHEN OLD.withdrawn_at IS NOT NULL AND NEW.withdrawn_at IS NOT OLD.withdrawn_at
BEGIN
    SELECT RAISE(ABORT, 'a package is withdrawn for good');
END;

CREATE TRIGGER packages_raise_the_version_when_new AFTER INSERT ON packages
BEGIN UPDATE estate_version SET version = version + 1; END;
CREATE TRIGGER packages_raise_the_version AFTER UPDATE ON packages
BEGIN UPDATE estate_version SET version = version + 1; END;

-- Contents of packages that a vendor keeps here (the database repository), in chunks of one size but for the last.
CREATE TABLE files (
    vendor     TEXT    NOT NULL REFERENCES vendors (id),
    path       TEXT    NOT NULL,
    size       INTEGER NOT NULL CHECK (size >= 0),
    sha256     BLOB    NOT NULL CHECK (length(sha256) = 32),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (vendor, path)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER files_are_never_changed BEFORE UPDATE ON files
BEGIN
    SELECT RAISE(ABORT, 'a file is never changed');
END;

CREATE TABLE file_chunks (
    id       INTEGER PRIMARY KEY,
    vendor   TEXT    NOT NULL REFERENCES vendors (id),
    path     TEXT    NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    data     BLOB    NOT NULL,
    UNIQUE (vendor, path, position)
) STRICT;

-- Terminals by groups that people make.
CREATE TABLE terminal_groups (
    name TEXT NOT NULL,
    sn   TEXT NOT NULL REFERENCES terminals (sn),
    PRIMARY KEY (name, sn)
) STRICT, WITHOUT ROWID;

CREATE INDEX groups_of_terminal ON terminal_groups (sn, name);

CREATE TRIGGER groups_raise_the_version_when_joined AFTER INSERT ON terminal_groups
BEGIN UPDATE estate_version SET version = version + 1; END;
CREATE TRIGGER groups_raise_the_version_when_left AFTER DELETE ON terminal_groups
BEGIN UPDATE estate_version SET version = version + 1; END;

-- Which package for which terminals, when. `target`, `time_window` and `stages` are JSON.
CREATE TABLE deployments (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    vendor           TEXT    NOT NULL REFERENCES vendors (id),
    package          INTEGER NOT NULL REFERENCES packages (id),
    target           TEXT    NOT NULL,
    starts_at        INTEGER NOT NULL,
    ends_at          INTEGER,
    time_window      TEXT,
    stages           TEXT    NOT NULL,
    stage            INTEGER NOT NULL CHECK (stage >= 0),
    failures_percent INTEGER NOT NULL CHECK (failures_percent BETWEEN 0 AND 100),
    at_least         INTEGER NOT NULL CHECK (at_least >= 0),
    allow_downgrade  INTEGER NOT NULL CHECK (allow_downgrade IN (0, 1)),
    state            TEXT    NOT NULL CHECK (state IN ('running', 'paused', 'stopped', 'cancelled', 'finished')),
    offered          INTEGER NOT NULL DEFAULT 0 CHECK (offered >= 0),
    installed        INTEGER NOT NULL DEFAULT 0 CHECK (installed >= 0),
    failed           INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    created_at       INTEGER NOT NULL,
    created_by       TEXT    NOT NULL,
    CHECK (installed + failed <= offered)
) STRICT;

CREATE INDEX running_deployments ON deployments (vendor, id) WHERE state = 'running';
CREATE INDEX deployments_with_an_end ON deployments (ends_at)
    WHERE ends_at IS NOT NULL AND state IN ('running', 'paused');

CREATE TRIGGER deployments_end_once BEFORE UPDATE OF state ON deployments
WHEN OLD.state IN ('cancelled', 'finished')
BEGIN
    SELECT RAISE(ABORT, 'a deployment that is cancelled or finished stays so');
END;

CREATE TRIGGER deployments_keep_their_aim BEFORE UPDATE OF id, vendor, package, target, allow_downgrade ON deployments
BEGIN
    SELECT RAISE(ABORT, 'a deployment keeps its package and target: make another');
END;

CREATE TRIGGER deployments_raise_the_version_when_new AFTER INSERT ON deployments
BEGIN UPDATE estate_version SET version = version + 1; END;
-- Not for the counts: they change with every report and no plan looks at them.
CREATE TRIGGER deployments_raise_the_version AFTER UPDATE OF state, stage ON deployments
BEGIN UPDATE estate_version SET version = version + 1; END;

-- What a terminal told last, and what it was offered.
CREATE TABLE tms_terminals (
    sn        TEXT    NOT NULL PRIMARY KEY REFERENCES terminals (sn),
    installed TEXT    NOT NULL,
    status    TEXT,
    seen_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE offers (
    sn         TEXT    NOT NULL REFERENCES terminals (sn),
    deployment INTEGER NOT NULL REFERENCES deployments (id),
    package    INTEGER NOT NULL REFERENCES packages (id),
    state      TEXT    NOT NULL CHECK (state IN ('offered', 'installed', 'failed')),
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (sn, deployment)
) STRICT, WITHOUT ROWID;

-- People who work at terminals. `sealed` is what proves their password, sealed by the HSM.
CREATE TABLE operators (
    id         TEXT    NOT NULL PRIMARY KEY,
    sealed     BLOB    NOT NULL,
    failures   INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    locked     INTEGER NOT NULL DEFAULT 0 CHECK (locked IN (0, 1)),
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

-- Working keys anew: TDK is a kind, the PIN pad that a key is for stands beside it, uses are counted.
CREATE TABLE working_keys_of_sign_ins (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    sn         TEXT    NOT NULL REFERENCES terminals (sn),
    slot       INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 99),
    kind       TEXT    NOT NULL CHECK (kind IN ('pik', 'mak', 'tdk')),
    state      TEXT    NOT NULL CHECK (state IN ('pending', 'active')),
    key_serial TEXT    NOT NULL,
    block      TEXT    NOT NULL,
    kcv        BLOB    NOT NULL,
    uses       INTEGER NOT NULL DEFAULT 0 CHECK (uses >= 0),
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

INSERT INTO working_keys_of_sign_ins (id, sn, slot, kind, state, key_serial, block, kcv, created_at, changed_at)
    SELECT w.id, w.sn, w.slot, w.kind, w.state, t.key_serial, w.block, w.kcv, w.created_at, w.changed_at
    FROM working_keys w JOIN terminals t ON t.sn = w.sn;

-- An id is never used again, those of keys that are gone included.
DELETE FROM sqlite_sequence WHERE name = 'working_keys_of_sign_ins';
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'working_keys_of_sign_ins', seq FROM sqlite_sequence WHERE name = 'working_keys';

DROP TABLE working_keys;
ALTER TABLE working_keys_of_sign_ins RENAME TO working_keys;

CREATE UNIQUE INDEX one_working_key_of_a_state ON working_keys (sn, slot, kind, state);

CREATE TRIGGER working_keys_start_pending BEFORE INSERT ON working_keys
WHEN NEW.state <> 'pending'
BEGIN
    SELECT RAISE(ABORT, 'a working key starts as pending');
END;

CREATE TRIGGER working_keys_keep_their_place
BEFORE UPDATE OF id, sn, slot, kind, key_serial, block, kcv ON working_keys
BEGIN
    SELECT RAISE(ABORT, 'a working key keeps its place');
END;

-- Sign-ins whose working keys are sent and not confirmed: one for each slot, under the TMK that the terminal named.
CREATE TABLE sign_ins (
    sn         TEXT    NOT NULL REFERENCES terminals (sn),
    slot       INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 99),
    tmk        INTEGER NOT NULL REFERENCES tmks (id),
    rnd1       BLOB    NOT NULL CHECK (length(rnd1) = 8),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (sn, slot)
) STRICT, WITHOUT ROWID;

-- PIN keys of zones: what PINs are translated to.
CREATE TABLE zone_keys (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    zone       TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('active', 'retired')),
    algorithm  TEXT    NOT NULL,
    block      TEXT    NOT NULL,
    kcv        BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX one_active_key_of_a_zone ON zone_keys (zone) WHERE state = 'active';

CREATE TRIGGER zone_keys_retire_for_good BEFORE UPDATE OF state ON zone_keys
WHEN NOT (OLD.state = 'active' AND NEW.state = 'retired')
BEGIN
    SELECT RAISE(ABORT, 'a zone key goes from active to retired');
END;

-- What a POSP calls a terminal.
CREATE TABLE identities (
    sn          TEXT    NOT NULL PRIMARY KEY REFERENCES terminals (sn),
    terminal_id TEXT    NOT NULL UNIQUE,
    merchant_id TEXT    NOT NULL,
    changed_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX identities_by_merchant ON identities (merchant_id, sn);

-- Estates that moved in from another system. As with KLD reports, a row of `collections` with the same id says where
-- terminals come from.
CREATE TABLE estate_imports (
    id     INTEGER NOT NULL PRIMARY KEY REFERENCES collections (id),
    source TEXT    NOT NULL
) STRICT;

-- Devices anew: a DMK may come from an import as well as from a KLD's report.
CREATE TABLE devices_loaded_or_imported (
    sn            TEXT    NOT NULL PRIMARY KEY REFERENCES terminals (sn),
    key_serial    TEXT    NOT NULL,
    dik1          TEXT    REFERENCES dik1s (label),
    dik2_kcv      BLOB,
    factor_digest BLOB    CHECK (length(factor_digest) = 32),
    factor        TEXT,
    dmk           TEXT,
    dmk_kcv       BLOB,
    report        INTEGER REFERENCES kld_reports (id),
    import        INTEGER REFERENCES estate_imports (id),
    loaded_at     INTEGER NOT NULL,
    compromised   INTEGER NOT NULL DEFAULT 0 CHECK (compromised IN (0, 1)),
    created_at    INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    -- A DIK2 whole or not at all; a DMK likewise; from one place.
    CHECK ((dik1 IS NULL) = (dik2_kcv IS NULL) AND (dik1 IS NULL) = (factor_digest IS NULL)
        AND (dik1 IS NULL) = (factor IS NULL)),
    CHECK ((dmk IS NULL) = (dmk_kcv IS NULL)),
    CHECK ((report IS NULL) <> (import IS NULL))
) STRICT;

INSERT INTO devices_loaded_or_imported (sn, key_serial, dik1, dik2_kcv, factor_digest, factor, dmk, dmk_kcv, report,
        loaded_at, compromised, created_at, changed_at)
    SELECT sn, key_serial, dik1, dik2_kcv, factor_digest, factor, dmk, dmk_kcv, report, loaded_at, compromised,
        created_at, changed_at
    FROM devices;

DROP TABLE devices;
ALTER TABLE devices_loaded_or_imported RENAME TO devices;

-- A dropped key's check value does not come again in its slot.
CREATE INDEX dropped_by_slot ON tmks (sn, slot, kcv) WHERE state = 'dropped';
