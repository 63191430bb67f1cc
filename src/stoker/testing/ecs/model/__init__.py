"""The core of the emulator: state and time, and nothing that runs or listens."""
