"""Queries on where a table's values go: views over views, publications, slots, snapshots."""

# Views over views to any depth. From the second step on a column's way is not on record, so all
# that reads a view which reads the column counts; so does what takes the row as a whole (0).
MATERIALIZED_VIEWS = """
WITH RECURSIVE reach (view, attname, depth) AS (
    SELECT r.ev_class, a.attname, 1
      FROM pg_catalog.pg_depend AS d
           JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid AND r.ev_class <> d.refobjid
           JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum > 0
                AND NOT a.attisdropped AND d.refobjsubid IN (a.attnum, 0)
     WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refobjid = ANY (%(oids)s)
    UNION
    SELECT r.ev_class, reach.attname, reach.depth + 1
      FROM reach
           JOIN pg_catalog.pg_depend AS d ON d.refobjid = reach.view
                AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
           JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid AND r.ev_class <> reach.view
     WHERE reach.depth < 64)
SELECT v.oid::pg_catalog.regclass::text, reach.attname
  FROM reach JOIN pg_catalog.pg_class AS v ON v.oid = reach.view AND v.relkind = 'm'
 GROUP BY v.oid, reach.attname ORDER BY pg_catalog.max(reach.depth), 1, 2
"""

# Where else the plain values go or stay: (what, its name).
COPIES = """
SELECT 'foreign table', f.ftrelid::pg_catalog.regclass::text
  FROM pg_catalog.pg_foreign_table AS f, pg_catalog.pg_options_to_table(f.ftoptions) AS o
 WHERE o.option_name = 'table_name' AND o.option_value = %(table)s
UNION
SELECT CASE WHEN p.pubupdate THEN 'publication' ELSE 'publication without updates' END, p.pubname
  FROM pg_catalog.pg_publication AS p, pg_catalog.pg_get_publication_tables(p.pubname::text) AS r
 WHERE r.relid = ANY (%(oids)s) OR r.relid IN (
       SELECT a.relid FROM pg_catalog.unnest(%(oids)s) AS m (oid),
              pg_catalog.pg_partition_ancestors(m.oid) AS a (relid))
UNION
SELECT 'replication slot', s.slot_name || COALESCE(' (process ' || s.active_pid || ')', '')
  FROM pg_catalog.pg_replication_slots AS s
 WHERE s.slot_type = 'logical' AND s.database = pg_catalog.current_database()
UNION
SELECT 'snapshot', 'process ' || a.pid || ' (' || COALESCE(NULLIF(a.application_name, ''),
       a.usename, 'unnamed') || ', for ' || pg_catalog.date_trunc('second',
       pg_catalog.clock_timestamp() - a.xact_start)::text || ')'
  FROM pg_catalog.pg_stat_activity AS a
 WHERE a.backend_xmin IS NOT NULL AND a.datname = pg_catalog.current_database()
   AND a.pid <> pg_catalog.pg_backend_pid()
   AND a.backend_type = 'client backend'
   AND a.xact_start < pg_catalog.clock_timestamp() - '1 minute'::pg_catalog.interval
ORDER BY 1, 2 LIMIT 50
"""

# The server's own list knows tables that are published by name, by schema, or by their root.
PUBLICATION = """
SELECT p.pubname
  FROM pg_catalog.pg_publication AS p, pg_catalog.pg_class AS c
 WHERE c.oid = ANY (%(oids)s) AND c.relkind = 'r' AND p.pubupdate
   AND (c.relreplident = 'n' OR c.relreplident = 'd' AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary))
   AND EXISTS (SELECT FROM pg_catalog.pg_get_publication_tables(p.pubname::text) AS r
                WHERE r.relid = c.oid OR r.relid IN (
                      SELECT relid FROM pg_catalog.pg_partition_ancestors(c.oid)))
 LIMIT 1
"""

# PostgreSQL 15 and later: an UPDATE is refused (42P10) where a row filter uses a column that is not
# in the replica identity, or a column list leaves one of its columns out (or is there at all under
# FULL). Columns of a filter stand in the stored expression by number.
PUBLISHED_IN_PART = """
WITH identity AS (
    SELECT c.oid, c.relreplident = 'f' AS whole, ARRAY(
           SELECT a.attname::text FROM pg_catalog.pg_index AS i
                  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid
                       AND a.attnum = ANY (i.indkey::pg_catalog.int2[])
            WHERE i.indrelid = c.oid
              AND CASE c.relreplident WHEN 'd' THEN i.indisprimary
                                      WHEN 'i' THEN i.indisreplident ELSE false END) AS names
      FROM pg_catalog.pg_class AS c WHERE c.oid = ANY (%(oids)s) AND c.relkind = 'r'),
published AS (
    SELECT d.whole, d.names, p.pubname, r.prattrs,
           ARRAY(SELECT DISTINCT a.attname::text
                   FROM pg_catalog.regexp_matches(r.prqual::text, ':varattno ([0-9]+)', 'g') AS m
                        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.prrelid
                             AND a.attnum = m[1]::int) AS filtered,
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
                  WHERE a.attrelid = r.prrelid
                    AND a.attnum = ANY (r.prattrs::pg_catalog.int2[])) AS listed
      FROM identity AS d
           JOIN pg_catalog.pg_publication_rel AS r ON r.prrelid = d.oid OR r.prrelid IN (
                SELECT relid FROM pg_catalog.pg_partition_ancestors(d.oid))
           JOIN pg_catalog.pg_publication AS p ON p.oid = r.prpubid AND p.pubupdate)
SELECT DISTINCT pubname, 'a row filter on ' || pg_catalog.array_to_string(filtered, ', ')
  FROM published WHERE NOT whole AND NOT filtered <@ names
UNION
SELECT DISTINCT pubname, 'a column list'
  FROM published WHERE prattrs IS NOT NULL AND (whole OR NOT names <@ listed)
 ORDER BY 1, 2
"""

# PostgreSQL 18 and later: an UPDATE is refused (42P10), too, where a generated column of the
# replica identity is not published; virtual ones never are. A column list is judged above.
NOT_PUBLISHED = """
SELECT DISTINCT p.pubname::text, 'no values of the generated column ' || a.attname
  FROM pg_catalog.pg_publication AS p, pg_catalog.pg_class AS c
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attgenerated <> ''
            AND NOT a.attisdropped
 WHERE c.oid = ANY (%(oids)s) AND c.relkind = 'r' AND p.pubupdate
   AND (a.attgenerated = 'v' OR p.pubgencols <> 's')
   AND (c.relreplident = 'f' OR EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
         WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey::pg_catalog.int2[])
           AND CASE c.relreplident WHEN 'd' THEN i.indisprimary
                                   WHEN 'i' THEN i.indisreplident ELSE false END))
   AND EXISTS (SELECT FROM pg_catalog.pg_get_publication_tables(p.pubname::text) AS r
                WHERE r.relid = c.oid OR r.relid IN (
                      SELECT relid FROM pg_catalog.pg_partition_ancestors(c.oid)))
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_rel AS r
                    WHERE r.prpubid = p.oid AND r.prattrs IS NOT NULL AND (r.prrelid = c.oid
                          OR r.prrelid IN (
                             SELECT relid FROM pg_catalog.pg_partition_ancestors(c.oid))))
 ORDER BY 1, 2
"""

# Columns that a row filter uses: an UPDATE after which the row no longer fits is sent as a DELETE.
ROW_FILTERS = """
SELECT DISTINCT a.attname::text, p.pubname::text
  FROM pg_catalog.pg_publication AS p
       JOIN pg_catalog.pg_publication_rel AS r ON r.prpubid = p.oid AND r.prqual IS NOT NULL
       CROSS JOIN LATERAL pg_catalog.regexp_matches(
             r.prqual::text, ':varattno ([0-9]+)', 'g') AS m
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.prrelid AND a.attnum = m[1]::int
 WHERE p.pubupdate AND (r.prrelid = ANY (%(oids)s) OR r.prrelid IN (
       SELECT f.relid FROM pg_catalog.unnest(%(oids)s) AS o (oid),
              pg_catalog.pg_partition_ancestors(o.oid) AS f (relid)))
 ORDER BY 1, 2
"""

# What ALTER TABLE … TYPE depends on, and is refused for.
OWNED = """
SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE'),
       EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid OR inhparent = c.oid),
       COALESCE(pg_catalog.format_type(NULLIF(c.reloftype, 0), NULL), '')
  FROM pg_catalog.pg_class AS c WHERE c.oid = %(oid)s
"""
EVENT_TRIGGERS = """
SELECT evtname::text FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D' ORDER BY 1
"""
DEPENDENTS = """
SELECT DISTINCT a.attname, pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM pg_catalog.pg_depend AS d
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
       LEFT JOIN pg_catalog.pg_attrdef AS f ON f.oid = d.objid
            AND d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
 WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = %(oid)s
   AND (d.classid IN ('pg_catalog.pg_rewrite'::pg_catalog.regclass,
                      'pg_catalog.pg_policy'::pg_catalog.regclass,
                      'pg_catalog.pg_trigger'::pg_catalog.regclass,
                      'pg_catalog.pg_proc'::pg_catalog.regclass,
                      'pg_catalog.pg_publication_rel'::pg_catalog.regclass)
        OR f.adnum <> a.attnum)
 ORDER BY 1, 2
"""
COLUMNS = """
SELECT a.attname, n.nspname, l.collname, a.attstorage <> t.typstorage
       OR COALESCE(pg_catalog.to_jsonb(a) ->> 'attcompression', '') <> ''
  FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
       LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
       LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = l.collnamespace
 WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
"""
