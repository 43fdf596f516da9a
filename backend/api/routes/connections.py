"""The connections room over REST."""

from fastapi import APIRouter

router = APIRouter(tags=["connections"])
