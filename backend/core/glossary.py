"""The portal's words, one meaning each: for its Glossary page and docs/glossary.md."""

from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"

TERMS: dict[str, str] = {
    "Environment": "a named set of connections (staging, production); one is the default",
    "Connection": "how one system of an environment is reached, with its secrets; a *kind* is "
    "the sort of system",
    "Client info": "what a DataHub server says about itself and the client that asks",
    "Directory": "where people come from: the system that knows names, e-mails and departments",
    "Plan": "what a sync would change, made and stored without changing anything; applied once, "
    "within 24 hours",
    "Run": "work in the background: it is queued, runs, and ends with a status",
    "Backup job": "the job number by which the mount ledger knows a backup; not a run",
    "Data job": "DataHub's word for a task that produces a dataset",
    "Ledger": "the database table in which mounts are kept",
    "Orphan": "a mounted entry whose backup job, host or target says that nobody needs it any more",
    "Mapping": "which Lambda function or state machine loads which dataset",
    "Tokenization": "values of chosen columns replaced by tokens in the table itself; there is "
    "no way back",
    "Change": "a request that waits for somebody else's approval",
    "Revert": "the inverse plan of a run, to be reviewed and applied like any other",
    "Conflict": "what was changed by somebody else since the plan; it is not written",
    "Alert": "what somebody should act on; it stays on the Overview until it is over or you mark "
    "it as seen",
    "Role": "what a person or a program may do: viewer, steward, operator, auditor or admin",
}


def markdown() -> str:
    """The whole document."""
    lines = [f"| {word} | {meaning} |" for word, meaning in TERMS.items()]
    return "\n".join(["# Glossary", "", "| Word | Meaning |", "|---|---|", *lines, ""])


if __name__ == "__main__":
    DOCUMENT.write_text(markdown(), encoding="utf-8")
