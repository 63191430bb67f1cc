"""The ``stoker`` command."""

import click

from stoker import __version__
from stoker.cli.lazy import LazyGroup, Table

COMMANDS: Table = {
    "up": ("stoker.cli.up:up", "Start a server, a work pool and its worker together."),
    "server": ("stoker.cli.server:server", "Run the API server."),
    "worker": ("stoker.cli.worker:worker", "Run a worker of a work pool."),
    "work-pool": ("stoker.cli.work_pool:work_pool", "Create, change and show work pools."),
    "work-queue": ("stoker.cli.work_queue:work_queue", "Create, change and show work queues."),
    "check": ("stoker.cli.check:check", "Say what of a project can be deployed and forked."),
    "deploy": ("stoker.cli.deploy:deploy", "Deploy a flow to a work pool."),
    "deployment": (
        "stoker.cli.deployment:deployment",
        "Run, show, schedule, backfill deployments.",
    ),
    "flow-run": ("stoker.cli.flow_run:flow_run", "Show, follow, cancel, pause, retry flow runs."),
    "concurrency-limit": (
        "stoker.cli.concurrency_limit:concurrency_limit",
        "Limit task runs by their tags.",
    ),
    "global-concurrency-limit": (
        "stoker.cli.global_concurrency_limit:global_concurrency_limit",
        "Limits with names, which code takes slots of.",
    ),
    "event": ("stoker.cli.event:event", "Show, follow and emit events."),
    "automation": ("stoker.cli.automation:automation", "Create, show and try automations."),
    "database": (
        "stoker.cli.database:database",
        "Upgrade, check, prune, back up, restore the database.",
    ),
    "config": ("stoker.cli.config:config", "Show the settings."),
    "version": ("stoker.cli.version:version", "Show the version."),
}


@click.group(
    cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Run Python workflows: each run isolated, started on a warm slot in milliseconds."""


def main() -> None:
    """Run the command line; the console script."""
    cli(prog_name="stoker")


if __name__ == "__main__":
    main()
