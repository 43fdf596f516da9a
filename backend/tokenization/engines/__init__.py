"""Engines compute the tokens where the table is: PostgreSQL and Databricks."""
