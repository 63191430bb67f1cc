"""The API's routes as typed methods, by subject."""
