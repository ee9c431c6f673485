-- $1 process
DELETE FROM queuekit.presences WHERE process = $1
