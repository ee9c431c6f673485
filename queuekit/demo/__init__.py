"""``queuekit demo``: a stream of webhook events, processed by a real worker and settled to the cent."""
