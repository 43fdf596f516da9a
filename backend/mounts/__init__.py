"""The mount ledger: explorer, orphans, operations, and the actions of operators."""
