"""The tokenization room over REST."""

from fastapi import APIRouter

router = APIRouter(tags=["tokenization"])
trigger_router = APIRouter(tags=["tokenization"])
