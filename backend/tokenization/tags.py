"""The tags by which DataHub and the portal talk about tokenization, and the documented names."""

from typing import Final

PREFIX: Final = "urn:li:tag:"
RUN: Final = "urn:li:tag:tokenize/run"
DONE: Final = "urn:li:tag:tokenize/done"
STATUS_PREFIX: Final = "urn:li:tag:tokenize/status:"
SUCCESS: Final = STATUS_PREFIX + "SUCCESS"
FAILED: Final = STATUS_PREFIX + "FAILED"
WAITING: Final = STATUS_PREFIX + "WAITING"

#: Custom property with the last run as JSON. The next ingestion may drop it, with all others.
LAST_RUN_PROPERTY: Final = "last_tokenization_run"
#: The same as a structured property, which ingestion leaves alone.
LAST_RUN_URN: Final = "urn:li:structuredProperty:last_tokenization_run"
LAST_RUN_NAME: Final = "Last tokenization run"
LAST_RUN_DESCRIPTION: Final = "The dataset's last tokenization run as JSON, kept by Steward Portal."

#: Tag entities are created with these words; a tag without an entity shows no description.
DESCRIPTIONS: Final = {
    RUN: "Asks Steward Portal to tokenize the columns with personal data of this dataset.",
    DONE: "The columns with personal data of this dataset hold tokens.",
    SUCCESS: "The last tokenization run of this dataset succeeded.",
    WAITING: "Steward Portal was asked to tokenize this dataset and waits for its columns to be "
    "named; its documentation lists the likely ones.",
    FAILED: "The last tokenization run of this dataset failed; its documentation says why.",
}
