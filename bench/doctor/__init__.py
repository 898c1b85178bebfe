"""Whether an environment and its machine can measure: what is found, what stands in the way, what to do about it.

Only `null_arm.py` needs more than the core and TensorFlow; what is missing or broken is a finding, and never an error.
"""
