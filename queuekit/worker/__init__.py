"""The process that runs jobs: one event loop, each concern a small class.

Where a job is ...

* claimed: `fetcher`, which asks `claiming` how many, and puts them on the `board`;
* taken and run: `slot`, whose `executor` calls the task in the loop (`steps`), in a thread (`threads`) or in a child
  process (`children`); the job is a `run` from its claim to its outcome;
* settled: `outbox`, by `queuekit.lifecycle.settle`; the next call of the fetcher takes it to the store;
* tried again: `executor`, which finds the delay, and `queuekit.lifecycle.settle`, which decides whether;
* kept: `heartbeat`, which renews leases, and brings cancel requests;
* given back: `fetcher`, if it is claimed and can't be begun here; `wind_up`, when the worker stops.

`worker` is the order in which a worker starts, serves and winds up, `parts` what it is made of.
"""
