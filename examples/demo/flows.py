"""Degree days: how much heating did each day of 2010 ask for in Seattle and in San Francisco?

`degree_days` fans out: every day of a city is a deployed run of `measure_day`, in a process of its
own. pandas and this file are imported once, before the runs come.
"""

from datetime import date
from typing import Any

import pandas as pd
from vega_datasets import data

from stoker import flow, run_deployment, task
from stoker.task_runners import ThreadPoolTaskRunner

CITIES = {"Seattle": data.seattle_temps, "San Francisco": data.sf_temps}

BASE = 65.0
"""Fahrenheit; on days below it houses are heated. https://www.weather.gov/key/climate_heat_cool"""


def load(city: str) -> pd.DataFrame:
    """Load the hourly temperatures of a city."""
    return CITIES[city]().assign(day=lambda hours: hours.date.dt.date)


def summarise(temperatures: pd.Series) -> dict[str, float]:
    """Reduce the hours of a day to its extremes and its heating degree days."""
    low, high = float(temperatures.min()), float(temperatures.max())
    return {"low": low, "high": high, "heating": max(0.0, BASE - (low + high) / 2)}


@flow
def measure_day(city: str, day: date) -> dict[str, Any]:
    """Load one day of a city and summarise it."""
    hours = load(city)
    return {"city": city, "day": str(day)} | summarise(hours.temp[hours.day == day])


@task
def measure_elsewhere(city: str, day: date) -> dict[str, Any]:
    """Run `measure_day` as a deployment, and wait for its result."""
    return run_deployment("measure-day/hot", {"city": city, "day": day}).result()


@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
def degree_days(cities: list[str], days: list[date]) -> list[dict[str, Any]]:
    """Measure all days, four at a time; ``cities`` and ``days`` go together."""
    return measure_elsewhere.map(cities, days).result()
