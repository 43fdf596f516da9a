"""Tests of the connections room."""
