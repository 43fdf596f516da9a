"""MySQL and MariaDB: what their error numbers mean."""
