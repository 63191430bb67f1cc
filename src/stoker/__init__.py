"""Stoker: workflow orchestration whose runs start on a warm slot, and are still isolated."""
