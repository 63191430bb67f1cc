"""Logs of runs: what user code logs or prints inside a run goes to the backend, in order."""

import builtins
import logging
import sys
import time
from typing import Any

from stoker.domain.reports import Logged
from stoker.domain.runs import LogLine
from stoker.engine.context import CURRENT, Context, TaskContext, require
from stoker.engine.interrupts import deliver
from stoker.engine.tracebacks import user_traceback

FLOW_LOGGER = "stoker.flow_runs"
TASK_LOGGER = "stoker.task_runs"

RunLogger = logging.LoggerAdapter[logging.Logger]


def get_run_logger() -> RunLogger:
    """Return the logger of the present task run or flow run.

    It is a logger of the standard library; its lines are kept with the run. It may be handed
    to threads that the run starts itself.

    Raises:
        MissingContext: No flow or task is running here.

    Example:
        ```python
        @flow
        def hello() -> None:
            get_run_logger().info("hello")
        ```
    """
    return run_logger(require("get_run_logger()"))


def run_logger(context: Context) -> RunLogger:
    """Return the logger of a run."""
    name = TASK_LOGGER if isinstance(context, TaskContext) else FLOW_LOGGER
    return logging.LoggerAdapter(_logger(name), {"stoker_run": context})


def note(context: Context, level: int, text: str, error: BaseException | None) -> None:
    """Write a line of the engine into a run's log, with an exception's traceback."""
    if error is not None:
        text = f"{text}\n{user_traceback(error).rstrip()}"
    run_logger(context).log(level, "%s", text)


class RunHandler(logging.Handler):
    """Hands log lines to the run that they were written in."""

    def emit(self, record: logging.LogRecord) -> None:
        """Report one line; outside of any run it goes nowhere."""
        context: Context | None = getattr(record, "stoker_run", None) or CURRENT.get()
        if context is None:
            return
        message = _message(record)
        task = context.id if isinstance(context, TaskContext) else None
        flow = context.flow
        if flow.console:
            _show(record, context, message)
        line = LogLine(
            at=record.created,
            level=record.levelno,
            logger=record.name,
            message=message,
            task_run_id=task,
        )
        if flow.id:
            deliver(flow.backend, flow.id, Logged([line]))


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception as error:
        message = f"{record.msg!r} could not be formatted with {record.args!r}: {error}"
    if record.exc_info and record.exc_info[1] is not None:
        message = f"{message}\n{user_traceback(record.exc_info[1]).rstrip()}"
    if record.stack_info:
        message = f"{message}\n{record.stack_info}"
    return message


def _show(record: logging.LogRecord, context: Context, message: str) -> None:
    moment = time.strftime("%H:%M:%S", time.localtime(record.created))
    kind = "task run" if isinstance(context, TaskContext) else "flow run"
    name = f"{kind} {context.name!r}"
    text = f"{moment}.{int(record.msecs):03d} | {record.levelname:<7} | {name} | {message}\n"
    try:
        sys.stderr.write(text)
    except (OSError, ValueError, AttributeError):
        # No console to write to, or a closed one: the line is kept with the run all the same.
        return


_configured: set[str] = set()


def _logger(name: str) -> logging.Logger:
    logger = logging.getLogger(name)
    if name not in _configured:
        _configured.add(name)
        if not any(isinstance(handler, RunHandler) for handler in logger.handlers):
            logger.addHandler(_handler)
        # The lines are the run's; printing them a second time is for the root's handlers only
        # where somebody asks for it.
        logger.propagate = False
        if logger.level == logging.NOTSET:
            from stoker.settings import load

            logger.setLevel(load().log_level)
    return logger


_handler = RunHandler()
_print = builtins.print


def capture_prints() -> None:
    """From now on, ``print`` in a run with ``log_prints`` goes to the run's log."""
    if builtins.print is not _print_or_log:
        global _print  # noqa: PLW0603 - others may have replaced print before
        _print = builtins.print
        builtins.print = _print_or_log


def _print_or_log(*values: Any, **options: Any) -> None:
    context = CURRENT.get()
    file = options.get("file")
    if context is None or not context.log_prints or file not in (None, sys.stdout):
        _print(*values, **options)
        return
    separator = options.get("sep")
    text = (" " if separator is None else separator).join(map(str, values))
    run_logger(context).info("%s", text)
