"""The process that runs jobs: one event loop, each concern a small class."""
