"""The mounts room over REST."""

from fastapi import APIRouter

router = APIRouter(tags=["mounts"])
