"""The stand-in and the contract, as the tests of the adapter have them."""

from tests.backend.integrations.datahub.conftest import client, contract, gms, sample

__all__ = ["client", "contract", "gms", "sample"]
