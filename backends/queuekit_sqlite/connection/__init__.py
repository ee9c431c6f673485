"""The connection to a database: the file of a URL, one thread that talks to it, and transactions."""

from queuekit_sqlite.connection.file import check_file, file_of
from queuekit_sqlite.connection.store import Store
from queuekit_sqlite.connection.transaction import Transaction, Values

__all__ = ["Store", "Transaction", "Values", "check_file", "file_of"]
