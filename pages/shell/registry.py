"""Navigation as data: which pages there are, in their order, and what they need."""

from dataclasses import dataclass
from pathlib import Path

from backend.core.access import Permission

FOLDER = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Page:
    """file: name below pages/. url_path: the page's address, "" for the first one. listed: in the
    menu; the others are reached from where they are needed."""

    file: str
    title: str
    icon: str
    permission: Permission
    url_path: str
    listed: bool = True

    @property
    def path(self) -> Path:
        return FOLDER / self.file


PAGES: tuple[Page, ...] = (
    Page("overview/page.py", "Overview", ":material/dashboard:", Permission.OVERVIEW_READ, ""),
    Page("changes/page.py", "Changes", ":material/rule:", Permission.CHANGES_READ, "changes"),
    Page(
        "notifications/page.py",
        "Notifications",
        ":material/notifications:",
        Permission.NOTIFICATIONS_READ,
        "notifications",
    ),
    Page(
        "user_sync/page.py",
        "User sync",
        ":material/group:",
        Permission.USER_SYNC_READ,
        "user-sync",
    ),
    Page("mounts/page.py", "Mounts", ":material/storage:", Permission.MOUNTS_READ, "mounts"),
    Page(
        "tokenization/page.py",
        "Tokenization",
        ":material/lock:",
        Permission.TOKENIZATION_READ,
        "tokenization",
    ),
    Page(
        "ingestion/page.py",
        "Ingestion",
        ":material/play_circle:",
        Permission.INGESTION_READ,
        "ingestion",
    ),
    Page(
        "connections/page.py",
        "Connections",
        ":material/lan:",
        Permission.CONNECTIONS_READ,
        "connections",
    ),
    Page(
        "jobs/page.py",
        "Runs",
        ":material/pending_actions:",
        Permission.JOBS_READ,
        "jobs",
    ),
    Page(
        "accounts/page.py",
        "Accounts",
        ":material/manage_accounts:",
        Permission.ACCOUNTS_READ,
        "accounts",
    ),
    Page(
        "audit/page.py",
        "Audit log",
        ":material/history:",
        Permission.AUDIT_READ,
        "audit",
    ),
    Page(
        "system/page.py",
        "System",
        ":material/dns:",
        Permission.RETENTION_READ,
        "system",
    ),
    Page(
        "profile/page.py",
        "My account",
        ":material/person:",
        Permission.OWN_ACCOUNT,
        "profile",
    ),
    Page(
        "glossary/page.py",
        "Glossary",
        ":material/menu_book:",
        Permission.OVERVIEW_READ,
        "glossary",
        listed=False,
    ),
)


def find(file: str) -> Page:
    """The page with this file name; LookupError when there is none."""
    for page in PAGES:
        if page.file == file:
            return page
    raise LookupError(f"no page {file}")
