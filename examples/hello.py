"""A flow is a function. Run this file: `python examples/hello.py`. No server is needed."""

from stoker import flow, task


@task
def greet(name: str) -> str:
    """Make a greeting."""
    return f"Hello, {name}!"


@flow(log_prints=True)
def hello(name: str = "world") -> str:
    """Greet someone."""
    greeting = greet(name)
    print(greeting)
    return greeting


if __name__ == "__main__":
    hello("Marvin")
