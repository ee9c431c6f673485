SELECT seq, process, address, queues FROM sleepers
