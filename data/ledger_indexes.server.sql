-- Optional, for ledgers of DMS servers (PRIMARY KEY (jobid, backup_target_id, host), no id) that
-- hold many entries: what ledger_indexes.sql is for the guide's table. The explorer works without
-- them. The portal never adds them: the table is yours.
-- For MySQL, MariaDB, PostgreSQL and SQLite. Restart the portal afterwards.
CREATE INDEX idx_created_at ON backup_target_mount_ledger (created_at, jobid, backup_target_id, host);
CREATE INDEX idx_host_key ON backup_target_mount_ledger (host, jobid, backup_target_id);
CREATE INDEX idx_target_key ON backup_target_mount_ledger (backup_target_id, jobid, host);
CREATE INDEX idx_mounted_key ON backup_target_mount_ledger (mounted, host, jobid, backup_target_id);
