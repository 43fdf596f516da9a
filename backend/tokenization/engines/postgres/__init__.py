"""The PostgreSQL engine: look at the table, say what would happen, and rewrite it in place."""
