CREATE TABLE backup_target_mount_ledger (
    id SERIAL NOT NULL,
    created_at TIMESTAMP WITHOUT TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at TIMESTAMP WITHOUT TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP WITHOUT TIME ZONE,
    deleted BOOLEAN DEFAULT false NOT NULL,
    version VARCHAR(32),
    backup_target_id VARCHAR(255) NOT NULL,
    jobid INTEGER NOT NULL,
    host VARCHAR(255) NOT NULL,
    mounted BOOLEAN DEFAULT false NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX idx_backup_target_id ON backup_target_mount_ledger (backup_target_id);
CREATE INDEX idx_deleted ON backup_target_mount_ledger (deleted);
CREATE INDEX idx_host ON backup_target_mount_ledger (host);
CREATE INDEX idx_job_target ON backup_target_mount_ledger (jobid, backup_target_id);
CREATE INDEX idx_jobid ON backup_target_mount_ledger (jobid);
CREATE INDEX idx_mounted_host ON backup_target_mount_ledger (mounted, host);
