"""Every table of the state database; importing this module makes `Base.metadata` complete."""

from backend.core.audit import AuditEvent, AuditHead
from backend.core.audit_base import AuditArchive
from backend.core.events import Event
from backend.core.metric_totals import MetricTotal
from backend.core.secret_store import SystemSecret
from backend.models.accounts import (
    Account,
    AccountIdentity,
    AccountSession,
    ApiToken,
    ProviderFlow,
    ProviderLogout,
    ProviderSession,
    SignInBackoff,
    SignInTicket,
)
from backend.models.changes import Change, ChangePolicy, ChangeStep, ChangeText
from backend.models.connections import (
    Connection,
    ConnectionSecret,
    ConnectionTest,
    DataHubClientInfo,
    Environment,
)
from backend.models.ingestion import (
    IngestionFavourite,
    IngestionMapping,
    IngestionRule,
    IngestionRun,
    IngestionSchedule,
)
from backend.models.jobs import Job, JobLine, Lease, ScheduleMark
from backend.models.mounts import MountOrphan, MountRequestBox, MountTarget, MountWatch
from backend.models.notifications import (
    AlertSeen,
    NotificationChannel,
    NotificationDelivery,
    NotificationSeen,
)
from backend.models.tokenization import TokenizationRun, TokenizationTag
from backend.models.user_sync import (
    SyncDomainMap,
    SyncIgnore,
    SyncItem,
    SyncPlan,
    SyncRow,
    SyncRun,
    SyncSettings,
    SyncUpload,
)
