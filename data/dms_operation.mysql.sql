CREATE TABLE dms_operation (
    id BIGINT NOT NULL AUTO_INCREMENT,
    operation_id VARCHAR(64) NOT NULL,
    pair_lock VARCHAR(64),
    lease_until DATETIME(6),
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
    reply_at DATETIME(6),
    replies INTEGER NOT NULL DEFAULT 0,
    note TEXT,
    settled_by VARCHAR(64),
    created_at DATETIME(6) NOT NULL,
    finished_at DATETIME(6),
    PRIMARY KEY (id),
    UNIQUE (operation_id),
    UNIQUE (pair_lock)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE utf8mb4_bin;
CREATE INDEX ix_dms_operation_host ON dms_operation (host, id);
CREATE INDEX ix_dms_operation_job ON dms_operation (jobid, backup_target_id);
CREATE INDEX ix_dms_operation_pair ON dms_operation (backup_target_id, host, state);
CREATE INDEX ix_dms_operation_state ON dms_operation (state, id);
