SELECT last FROM ticks
