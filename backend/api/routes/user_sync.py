"""The user_sync room over REST."""

from fastapi import APIRouter

router = APIRouter(tags=["user_sync"])
