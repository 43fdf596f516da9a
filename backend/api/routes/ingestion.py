"""The ingestion room over REST."""

from fastapi import APIRouter

router = APIRouter(tags=["ingestion"])
