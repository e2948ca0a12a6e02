"""Training by visitors: images on disk, a queue with one worker process at a time, and what comes out of it."""
