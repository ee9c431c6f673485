"""Claiming jobs, and settling outcomes on the way."""

from queuekit_postgres.fetch.claims import Claims
from queuekit_postgres.fetch.fetching import Fetching
from queuekit_postgres.fetch.floors import Floors

__all__ = ["Claims", "Fetching", "Floors"]
