"""What no tokenizer can reach: where plain values live on after a successful run."""

from backend.tokenization.sources import DATABRICKS, POSTGRES

LEFT_BEHIND: dict[str, tuple[str, ...]] = {
    POSTGRES: (
        "Dead row versions keep the plain values in the table's files until VACUUM has run; "
        "VACUUM FULL or pg_repack rewrites the files.",
        "The write-ahead log, replicas that lag, and archived log segments hold the old rows.",
        "Backups and dumps taken before the run are as they were.",
        "Planner statistics (pg_stats) quote frequent values until ANALYZE has run.",
        "Materialized views, other tables, exports and downstream systems keep their copies.",
    ),
    DATABRICKS: (
        "Delta's time travel keeps the old files: REORG TABLE … APPLY (PURGE), then VACUUM after "
        "the retention period (7 days unless changed).",
        "Clones, materialized views, caches and downstream tables keep their copies.",
        "Cloud storage versioning and backups are as they were.",
    ),
}
