"""What benchmarks/class_of_fifty.py needs to record a learner's traffic, to send it again as many learners, and to see
what their processes use."""
