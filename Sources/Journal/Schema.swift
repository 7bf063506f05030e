/// The schemas, each as the step from the one before. What stands in clear is what the hub must search and order by: surrogate keys, states, hub and effective times,
/// counts, and blind indexes (16 bytes of an HMAC). Columns named `sealed`, `error`, `body`, `detail` and the like are
/// AEAD-sealed (R8).
///
/// Times are milliseconds since 1970 in UTC. `*_clock` columns hold what vouched for the clock.
enum Schema {
    static let version1 = """
        CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
        -- Wrapped by the key of the KeySource; purpose is data or index.
        CREATE TABLE key (
            id INTEGER PRIMARY KEY, purpose TEXT NOT NULL, version INTEGER NOT NULL, wrapped BLOB NOT NULL,
            UNIQUE (purpose, version)) STRICT;
        -- Texts that many rows name: boot ids, patients' aliases, receivers, channels. kind: NameKind.
        CREATE TABLE name (
            id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, blind BLOB NOT NULL UNIQUE, sealed BLOB NOT NULL) STRICT;
        CREATE TABLE device (
            id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, state TEXT NOT NULL, enrolled INTEGER NOT NULL, last_seen INTEGER,
            sealed BLOB NOT NULL) STRICT;
        CREATE TABLE transfer (
            id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES device, began INTEGER NOT NULL,
            began_offset INTEGER NOT NULL, began_monotonic INTEGER NOT NULL, began_boot INTEGER NOT NULL REFERENCES name,
            began_clock TEXT NOT NULL,
            ended INTEGER, sealed BLOB) STRICT;
        CREATE INDEX transfer_device ON transfer (device);
        -- word: pending, sent, none. base: blind index of the identity without its ordinal.
        CREATE TABLE frame (
            id INTEGER PRIMARY KEY, device INTEGER NOT NULL, transfer INTEGER NOT NULL, received INTEGER NOT NULL,
            received_offset INTEGER NOT NULL, monotonic INTEGER NOT NULL, boot INTEGER NOT NULL, clock TEXT NOT NULL,
            word TEXT NOT NULL, decoded INTEGER NOT NULL, base BLOB, sealed BLOB NOT NULL, error BLOB) STRICT;
        CREATE INDEX frame_device ON frame (device);
        CREATE INDEX frame_transfer ON frame (transfer, base);
        CREATE INDEX frame_base ON frame (base) WHERE base IS NOT NULL;
        CREATE INDEX frame_undecoded ON frame (id) WHERE decoded = 0;
        CREATE TABLE act (
            id INTEGER PRIMARY KEY, subject BLOB NOT NULL UNIQUE, base BLOB NOT NULL, device INTEGER NOT NULL REFERENCES device,
            frame INTEGER NOT NULL, transfer INTEGER NOT NULL, state TEXT NOT NULL, hold TEXT, effective INTEGER,
            effective_offset INTEGER, patient INTEGER REFERENCES name, assignment INTEGER, received INTEGER NOT NULL,
            received_offset INTEGER NOT NULL, monotonic INTEGER NOT NULL, boot INTEGER NOT NULL, clock TEXT NOT NULL,
            revision INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
        CREATE INDEX act_base ON act (base);
        CREATE INDEX act_device ON act (device);
        CREATE INDEX act_frame ON act (frame);
        CREATE INDEX act_state ON act (state, hold) WHERE state <> 'ready';
        CREATE TABLE reading (id INTEGER PRIMARY KEY, act INTEGER NOT NULL REFERENCES act, subject BLOB NOT NULL UNIQUE) STRICT;
        CREATE INDEX reading_act ON reading (act);
        -- settled: when it was delivered or withdrawn.
        CREATE TABLE item (
            id INTEGER PRIMARY KEY, act INTEGER NOT NULL, reading INTEGER NOT NULL REFERENCES reading,
            kind TEXT NOT NULL, receiver INTEGER NOT NULL, channel INTEGER NOT NULL, target BLOB NOT NULL, state TEXT NOT NULL,
            effective INTEGER NOT NULL, created INTEGER NOT NULL, settled INTEGER, failures INTEGER NOT NULL,
            sealed BLOB NOT NULL, UNIQUE (reading, receiver, kind, target)) STRICT;
        CREATE INDEX item_state ON item (state, receiver, settled);
        CREATE INDEX item_waiting ON item (channel, effective, act) WHERE state = 'waiting';
        -- body: the frozen request's body; NULL once retention has dropped it.
        CREATE TABLE dispatch (
            id INTEGER PRIMARY KEY, receiver INTEGER NOT NULL, channel INTEGER NOT NULL, created INTEGER NOT NULL,
            dropped INTEGER NOT NULL, head BLOB NOT NULL, memo BLOB NOT NULL, body BLOB) STRICT;
        CREATE TABLE dispatch_entry (
            dispatch INTEGER NOT NULL REFERENCES dispatch, item INTEGER NOT NULL REFERENCES item, position INTEGER NOT NULL,
            PRIMARY KEY (dispatch, item)) STRICT, WITHOUT ROWID;
        CREATE INDEX dispatch_entry_item ON dispatch_entry (item);
        CREATE TABLE attempt (
            id INTEGER PRIMARY KEY, dispatch INTEGER NOT NULL REFERENCES dispatch, receiver INTEGER NOT NULL,
            started INTEGER NOT NULL, started_offset INTEGER NOT NULL, monotonic INTEGER NOT NULL, boot INTEGER NOT NULL,
            clock TEXT NOT NULL, ended INTEGER, outcome TEXT, sealed BLOB, detail BLOB) STRICT;
        CREATE INDEX attempt_dispatch ON attempt (dispatch);
        CREATE INDEX attempt_open ON attempt (id) WHERE outcome IS NULL;
        CREATE INDEX attempt_detail ON attempt (ended) WHERE detail IS NOT NULL;
        CREATE TABLE channel (
            id INTEGER PRIMARY KEY REFERENCES name, receiver INTEGER NOT NULL, held_since INTEGER, failures INTEGER NOT NULL,
            first_failure INTEGER, last_failure INTEGER, sealed BLOB NOT NULL) STRICT;
        CREATE TABLE assignment (
            id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES device, patient INTEGER NOT NULL REFERENCES name,
            starts INTEGER NOT NULL, ends INTEGER, sealed BLOB NOT NULL) STRICT;
        CREATE INDEX assignment_device ON assignment (device);
        CREATE TABLE recipient (
            id INTEGER PRIMARY KEY, assignment INTEGER NOT NULL REFERENCES assignment, receiver INTEGER NOT NULL REFERENCES name,
            starts INTEGER NOT NULL, ends INTEGER) STRICT;
        CREATE INDEX recipient_assignment ON recipient (assignment);
        -- receiver 0: every receiver.
        CREATE TABLE refusal (
            patient INTEGER NOT NULL REFERENCES name, receiver INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER,
            PRIMARY KEY (patient, receiver)) STRICT, WITHOUT ROWID;
        CREATE TABLE clock_epoch (
            id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES device, closed INTEGER NOT NULL,
            sealed BLOB NOT NULL) STRICT;
        CREATE INDEX clock_epoch_device ON clock_epoch (device);
        -- subject: of the act that it would have been.
        CREATE TABLE suppressed (
            id INTEGER PRIMARY KEY, subject BLOB NOT NULL UNIQUE, device INTEGER NOT NULL, act INTEGER, repeats INTEGER NOT NULL,
            first INTEGER NOT NULL, last INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
        CREATE INDEX suppressed_act ON suppressed (act) WHERE act IS NOT NULL;
        CREATE TABLE tombstone (subject BLOB PRIMARY KEY, base BLOB NOT NULL, outcome TEXT NOT NULL, at INTEGER NOT NULL)
            STRICT, WITHOUT ROWID;
        CREATE INDEX tombstone_base ON tombstone (base);
        CREATE TABLE condition (
            id INTEGER PRIMARY KEY, blind BLOB NOT NULL UNIQUE, since INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
        -- chain: HMAC over the chain of the record before and this record.
        CREATE TABLE audit (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, sealed BLOB NOT NULL, chain BLOB NOT NULL) STRICT;
        -- Receiver-side identifiers and the reading (its subject) that took them first.
        CREATE TABLE claim (identifier BLOB PRIMARY KEY, subject BLOB NOT NULL) STRICT, WITHOUT ROWID;
        """

    /// What the radio needs: keys, the security of each link, and what happened on it.
    static let version2 = """
        -- The keys of a device and whom they hold between: all sealed.
        CREATE TABLE bond (device INTEGER PRIMARY KEY REFERENCES device, sealed BLOB NOT NULL) STRICT;
        -- A LinkSecurity; NULL: not recorded, as before this schema.
        ALTER TABLE transfer ADD COLUMN security TEXT;
        -- What happened with a device, in order. kind: DeviceLogEntry.Kind.
        CREATE TABLE device_log (
            id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES device, wall INTEGER NOT NULL, monotonic INTEGER NOT NULL,
            boot INTEGER NOT NULL REFERENCES name, kind TEXT NOT NULL, detail BLOB) STRICT;
        CREATE INDEX device_log_device ON device_log (device);
        """

    /// What a channel with a patient context has of its own: who may speak for the patient, and what the receiver asks of them.
    ///
    /// Items may stand in the state `held` from here on. A release that knows neither has no receiver that makes any.
    static let version3 = """
        -- revision: counts up; an older one never takes the place of a newer. sealed: the patient and the tokens.
        CREATE TABLE sign_in (
            channel INTEGER PRIMARY KEY REFERENCES name, receiver INTEGER NOT NULL REFERENCES name, revision INTEGER NOT NULL,
            sealed BLOB NOT NULL) STRICT;
        -- Each plan of a patient as the receiver told it.
        CREATE TABLE plan (
            id INTEGER PRIMARY KEY, channel INTEGER NOT NULL REFERENCES name, fetched INTEGER NOT NULL, sealed BLOB NOT NULL)
            STRICT;
        CREATE INDEX plan_channel ON plan (channel, fetched);
        """

    /// What the hub proves itself with at an authorization server, how receivers know a patient, and what has to be known before it may
    /// be said that nothing was measured.
    static let version4 = """
        -- The keys of a client of the hub's own. id: the name of server and client.
        CREATE TABLE client_key (id INTEGER PRIMARY KEY REFERENCES name, sealed BLOB NOT NULL) STRICT;
        -- A receiver's own identifier of a patient, where it is not the hub's alias.
        CREATE TABLE identifier (
            id INTEGER PRIMARY KEY, patient INTEGER NOT NULL REFERENCES name, receiver INTEGER NOT NULL REFERENCES name,
            sealed BLOB NOT NULL, UNIQUE (patient, receiver)) STRICT;
        CREATE INDEX act_patient ON act (patient, effective) WHERE patient IS NOT NULL;
        -- When a part of the hub was well without a gap. part: WatchedPart.
        CREATE TABLE watch (id INTEGER PRIMARY KEY, part TEXT NOT NULL, began INTEGER NOT NULL, ended INTEGER NOT NULL) STRICT;
        CREATE INDEX watch_part ON watch (part, ended);
        -- What a receiver is told of a time in which nothing was measured. slot: blind; state: as an item's.
        CREATE TABLE notice (
            id INTEGER PRIMARY KEY, channel INTEGER NOT NULL REFERENCES name, slot BLOB NOT NULL UNIQUE, state TEXT NOT NULL,
            starts INTEGER NOT NULL, ends INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
        CREATE INDEX notice_channel ON notice (channel, starts);
        -- A relay's: what a hub's own name of a reading (blind) became, and when each hub was heard last.
        CREATE TABLE relayed (name BLOB PRIMARY KEY, act INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE hub (id INTEGER PRIMARY KEY REFERENCES name, heard INTEGER NOT NULL) STRICT;
        """
}

/// What a row of the table `name` names.
enum NameKind: Int {
    case boot = 1
    case patient = 2
    case receiver = 3
    case channel = 4
    case client = 5
    case hub = 6
}
