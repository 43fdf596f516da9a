"""The Databricks engine: one pushed-down statement on the SQL warehouse, the same bytes."""
