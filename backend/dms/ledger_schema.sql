-- The mount ledger, as DMS deployments have it (MySQL 5.7+, MariaDB 10.3+).
-- The same table for other databases: ledger_schema.postgresql.sql, ledger_schema.sqlite.sql.
-- The client beside it keeps its operation records in dms_operation (dms_operation.*.sql); it
-- creates that table itself where the user may, and never alters this one.
CREATE TABLE backup_target_mount_ledger (
    id INT AUTO_INCREMENT PRIMARY KEY,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    deleted_at DATETIME NULL,
    deleted BOOLEAN NOT NULL DEFAULT FALSE,
    version VARCHAR(32),
    backup_target_id VARCHAR(255) NOT NULL,
    jobid INT NOT NULL,
    host VARCHAR(255) NOT NULL,
    mounted BOOLEAN NOT NULL DEFAULT FALSE,

    INDEX idx_backup_target_id (backup_target_id),
    INDEX idx_jobid (jobid),
    INDEX idx_host (host),
    INDEX idx_job_target (jobid, backup_target_id),
    INDEX idx_mounted_host (mounted, host),
    INDEX idx_deleted (deleted)
);
