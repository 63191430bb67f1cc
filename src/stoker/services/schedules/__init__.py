"""Runs that deployments start by themselves: at their times, and for periods that are over."""
