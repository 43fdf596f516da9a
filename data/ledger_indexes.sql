-- Optional, for ledgers of millions of entries that have an id (those of DMS servers:
-- ledger_indexes.server.sql). The explorer works without these indexes and uses
-- them where they are: pages with two filters are then as fast as pages with none. Each costs some
-- 30 bytes an entry and a little of every write. The portal never adds them: the table is yours.
-- For MySQL, MariaDB, PostgreSQL and SQLite. Restart the portal afterwards.
CREATE INDEX idx_target_host ON backup_target_mount_ledger (backup_target_id, host, id);
CREATE INDEX idx_target_mounted ON backup_target_mount_ledger (backup_target_id, mounted, id);
CREATE INDEX idx_mounted_deleted ON backup_target_mount_ledger (mounted, deleted, id);
