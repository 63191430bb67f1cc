"""Keeps a server and a worker running beside a program, and stops them in order."""
