"""The MySQL and MariaDB engine: the same tokens, computed in the server, in one transaction."""
