"""The accounts room over REST."""

from fastapi import APIRouter

router = APIRouter(tags=["accounts"])
