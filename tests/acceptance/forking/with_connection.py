"""Holds a database connection open from its import on."""

import os
import tempfile

from sqlalchemy import create_engine, text

from stoker import flow

ENGINE = create_engine(f"sqlite:///{os.path.join(tempfile.gettempdir(), 'forking-test.db')}")
CONNECTION = ENGINE.connect()


@flow
def with_connection() -> int:
    return CONNECTION.execute(text("SELECT 6 * 7")).scalar_one()
