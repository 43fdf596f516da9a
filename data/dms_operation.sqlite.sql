CREATE TABLE dms_operation (
    id INTEGER NOT NULL,
    operation_id VARCHAR(64) NOT NULL,
    pair_lock VARCHAR(64),
    lease_until DATETIME,
    owner VARCHAR(255) NOT NULL,
    actor VARCHAR(255),
    action VARCHAR(16) NOT NULL,
    backup_target_id VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    jobid INTEGER NOT NULL,
    state VARCHAR(20) NOT NULL,
    ledger_id INTEGER,
    request TEXT NOT NULL,
    reply_queue VARCHAR(255),
    reply TEXT,
    reply_at DATETIME,
    replies INTEGER DEFAULT 0 NOT NULL,
    note TEXT,
    settled_by VARCHAR(64),
    created_at DATETIME NOT NULL,
    finished_at DATETIME,
    PRIMARY KEY (id),
    UNIQUE (operation_id),
    UNIQUE (pair_lock)
);
CREATE INDEX ix_dms_operation_host ON dms_operation (host, id);
CREATE INDEX ix_dms_operation_job ON dms_operation (jobid, backup_target_id);
CREATE INDEX ix_dms_operation_pair ON dms_operation (backup_target_id, host, state);
CREATE INDEX ix_dms_operation_state ON dms_operation (state, id);
