"""Checks whether an environment and its machine can measure: findings, problems, and what to do about them.

Only `null_arm.py` needs more than the core and TensorFlow. Whatever is missing or broken is a finding, never an error.
"""
