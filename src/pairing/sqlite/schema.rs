//! The tables of the database, and how older ones become those of today.

use rusqlite::{Connection, TransactionBehavior};

/// Says in the head of the file whose it is: "gwdv" in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x6777_6476;

/// What leads from each schema to the next: the first to schema 1. A step that was released is
/// never changed; another one follows it.
///
/// A row is a device, and the parts of its standing are JSON, as in OpenClaw's files: a commit is
/// one row, and a field that is added to a record needs no migration. Columns would say the same
/// twice, and could say something else. So what an operator looks at are views over the JSON;
/// they show no secret.
///
/// What is counted of all devices is kept, and what is looked for among them has an index of few
/// rows: nothing that is done often looks at every device. What these indexes are of is written beside
/// the record, because conditions on its text would be asked of each row whenever it is written, and
/// that is what a connection costs most where there are many devices. Nobody is admitted by it.
///
/// Whoever edits rows by hand knows nothing of all that: triggers count it as a commit, with another
/// version for the row, and put right what is kept beside it. Connections of `gw` fire none.
pub(super) const MIGRATIONS: [&str; 4] = [
    "CREATE TABLE standings (
        device_id    TEXT PRIMARY KEY NOT NULL,
        version      INTEGER NOT NULL CHECK (version > 0),
        record       TEXT CHECK (json_valid(record)),
        pending      TEXT CHECK (json_valid(pending)),
        node_pending TEXT CHECK (json_valid(node_pending))
    ) STRICT;
    CREATE TABLE store (
        one     INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
        commits INTEGER NOT NULL
    ) STRICT;
    INSERT INTO store VALUES (1, 0);",
    "CREATE VIEW devices AS SELECT
        device_id,
        json_extract(record, '$.displayName') AS display_name,
        json_extract(record, '$.operatorLabel') AS label,
        json_extract(record, '$.clientId') AS client,
        json_extract(record, '$.clientMode') AS mode,
        json_extract(record, '$.platform') AS platform,
        json_extract(record, '$.deviceFamily') AS family,
        coalesce(json_extract(record, '$.roles'), json_extract(record, '$.role')) AS roles,
        coalesce(json_extract(record, '$.approvedScopes'), json_extract(record, '$.scopes'))
            AS scopes,
        json_extract(record, '$.approvedVia') AS approved_via,
        datetime(json_extract(record, '$.approvedAtMs') / 1000, 'unixepoch') AS approved_at,
        datetime(json_extract(record, '$.expiresAtMs') / 1000, 'unixepoch') AS expires_at,
        datetime(json_extract(record, '$.lastSeenAtMs') / 1000, 'unixepoch') AS last_seen_at,
        json_extract(record, '$.remoteIp') AS remote_ip
    FROM standings WHERE record IS NOT NULL;
    CREATE VIEW requests AS SELECT
        json_extract(pending, '$.requestId') AS request_id,
        device_id,
        json_extract(pending, '$.displayName') AS display_name,
        json_extract(pending, '$.clientId') AS client,
        json_extract(pending, '$.clientMode') AS mode,
        json_extract(pending, '$.platform') AS platform,
        coalesce(json_extract(pending, '$.roles'), json_extract(pending, '$.role')) AS roles,
        json_extract(pending, '$.scopes') AS scopes,
        json_extract(pending, '$.silent') AS silent,
        datetime(json_extract(pending, '$.ts') / 1000, 'unixepoch') AS asked_at,
        datetime(json_extract(pending, '$.refreshedAtMs') / 1000, 'unixepoch') AS refreshed_at,
        json_extract(pending, '$.remoteIp') AS remote_ip
    FROM standings WHERE pending IS NOT NULL;
    CREATE VIEW node_requests AS SELECT
        json_extract(node_pending, '$.requestId') AS request_id,
        device_id,
        datetime(json_extract(node_pending, '$.ts') / 1000, 'unixepoch') AS asked_at
    FROM standings WHERE node_pending IS NOT NULL;
    CREATE VIEW tokens AS SELECT
        device_id,
        token.key AS role,
        json_extract(token.value, '$.scopes') AS scopes,
        json_extract(token.value, '$.issuer.kind') AS issuer,
        datetime(json_extract(token.value, '$.createdAtMs') / 1000, 'unixepoch') AS created_at,
        datetime(json_extract(token.value, '$.rotatedAtMs') / 1000, 'unixepoch') AS rotated_at,
        datetime(json_extract(token.value, '$.lastUsedAtMs') / 1000, 'unixepoch') AS last_used_at,
        datetime(json_extract(token.value, '$.revokedAtMs') / 1000, 'unixepoch') AS revoked_at
    FROM standings, json_each(record, '$.tokens') AS token;",
    r#"ALTER TABLE store ADD COLUMN devices INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE store ADD COLUMN requests INTEGER NOT NULL DEFAULT 0;
    UPDATE store SET
        devices = (SELECT count(*) FROM standings WHERE record IS NOT NULL),
        requests = (SELECT count(*) FROM standings
            WHERE pending IS NOT NULL OR node_pending IS NOT NULL);
    ALTER TABLE standings ADD COLUMN ends_at INTEGER;
    ALTER TABLE standings ADD COLUMN is_node INTEGER;
    ALTER TABLE standings ADD COLUMN is_approver INTEGER;
    UPDATE standings SET ends_at = json_extract(record, '$.expiresAtMs')
        WHERE instr(record, '"expiresAtMs"') > 0;
    UPDATE standings SET is_node = 1 WHERE instr(record, '"node"') > 0;
    UPDATE standings SET is_approver = 1
        WHERE instr(record, 'operator.pairing') > 0 OR instr(record, 'operator.admin') > 0;
    CREATE INDEX waiting ON standings (device_id) WHERE pending IS NOT NULL;
    CREATE INDEX ending ON standings (ends_at) WHERE ends_at IS NOT NULL;
    CREATE INDEX nodes ON standings (device_id) WHERE is_node IS NOT NULL;
    CREATE INDEX approvers ON standings (device_id) WHERE is_approver IS NOT NULL;"#,
    r#"UPDATE store SET
        devices = (SELECT count(*) FROM standings WHERE record IS NOT NULL),
        requests = (SELECT count(*) FROM standings
            WHERE pending IS NOT NULL OR node_pending IS NOT NULL);
    CREATE TRIGGER edited AFTER UPDATE ON standings BEGIN
        UPDATE store SET
            commits = commits + 1,
            devices = max(0, devices + (NEW.record IS NOT NULL) - (OLD.record IS NOT NULL)),
            requests = max(0, requests
                + (NEW.pending IS NOT NULL OR NEW.node_pending IS NOT NULL)
                - (OLD.pending IS NOT NULL OR OLD.node_pending IS NOT NULL));
        UPDATE standings SET
            version = (SELECT commits FROM store),
            ends_at = CASE json_type(record, '$.expiresAtMs')
                WHEN 'integer' THEN json_extract(record, '$.expiresAtMs') END,
            is_node = CASE WHEN instr(record, '"node"') > 0 THEN 1 END,
            is_approver = CASE WHEN instr(record, 'operator.pairing') > 0
                OR instr(record, 'operator.admin') > 0 THEN 1 END
        WHERE device_id = NEW.device_id;
    END;
    CREATE TRIGGER added AFTER INSERT ON standings BEGIN
        UPDATE store SET
            devices = devices + (NEW.record IS NOT NULL),
            requests = requests + (NEW.pending IS NOT NULL OR NEW.node_pending IS NOT NULL);
        UPDATE standings SET version = version WHERE device_id = NEW.device_id;
    END;
    CREATE TRIGGER removed AFTER DELETE ON standings BEGIN
        UPDATE store SET
            commits = commits + 1,
            devices = max(0, devices - (OLD.record IS NOT NULL)),
            requests = max(0, requests - (OLD.pending IS NOT NULL OR OLD.node_pending IS NOT NULL));
    END;"#,
];

/// The schema of today.
pub(super) const NEWEST: usize = MIGRATIONS.len();

/// Which schema a database has: none yet is 0.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings a database to a schema, each step as a whole. Another process may do the same: a step
/// that is done is not done again.
pub(super) fn migrate(connection: &mut Connection, to: usize) -> rusqlite::Result<()> {
    let from = usize::try_from(version(connection)?).unwrap_or(NEWEST);
    let steps = MIGRATIONS.iter().zip(1..=to).skip(from);
    for (step, reached) in steps {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if usize::try_from(version(&transaction)?).is_ok_and(|is| is >= reached) {
            continue;
        }
        transaction.execute_batch(step)?;
        transaction.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {reached};"
        ))?;
        transaction.commit()?;
    }
    Ok(())
}
