"""Ingestion: from a dataset or job URN to a Lambda function or state machine, honestly reported."""
