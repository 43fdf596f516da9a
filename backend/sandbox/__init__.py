"""The embedded default: stand-ins and real embedded parts that make a portal worth trying.

The portal starts `python -m backend.sandbox <folder>` as a child process, so that heavy imports
(moto, graphql-core) never slow the portal itself. The child starts every part, prints one JSON
line with the connections, and ends when its stdin closes, also after a `kill -9` of the portal.

A part is a module with `start(folder: Path) -> Part` (see parts.py): it binds 127.0.0.1 on a free
port, keeps what it must remember in `folder`, and seeds itself when the folder is empty.
"""
