"""What a server is made of."""

import os
import socket

from stoker import __version__
from stoker.api.context import Context
from stoker.bootstrap.retention import ages_of, forget_results
from stoker.bootstrap.running import Running
from stoker.bootstrap.stores import database_name
from stoker.couriers.courier import OutsideCourier
from stoker.domain.hosts import ProcessIdentity
from stoker.ports.clock import Clock
from stoker.ports.store import Store
from stoker.process_identity import is_alive, this_machine
from stoker.services.automations.automating import Automator
from stoker.services.automations.delivering import Deliverer
from stoker.services.concurrency.granting import Granter
from stoker.services.dispatcher import Dispatcher
from stoker.services.events.feed import EventFeed
from stoker.services.events.links import linking
from stoker.services.fleet.provisioner import Provisioner
from stoker.services.fleet.sweeper import Sweeper
from stoker.services.operations.loops import Loops, PacedClock
from stoker.services.operations.metrics import Metrics
from stoker.services.operations.pruner import Pruner
from stoker.services.operations.readiness import Readiness
from stoker.services.replicas.hearing import Hearing
from stoker.services.replicas.members import Members, Membership
from stoker.services.replicas.peers import Peers
from stoker.services.runs.promoting import Promoter
from stoker.services.schedules.backfiller import Backfiller
from stoker.services.schedules.scheduler import Scheduler
from stoker.settings import Settings


def start_services(
    settings: Settings, store: Store, members: Membership, clock: Clock, address: str
) -> tuple[Context, Running]:
    """Make a server's services and start their loops.

    Args:
        settings: The server's.
        store: Its store.
        members: The servers of this store.
        clock: The store's.
        address: URL of this server.

    Returns:
        What its endpoints use, and its loops.
    """
    loops = Loops(clock)
    dispatcher = Dispatcher(store, clock, ack_timeout=settings.ack_timeout, members=members)
    metrics = Metrics(dispatcher, clock, __version__)
    store.watch_writes(metrics.wrote)
    granter = Granter(dispatcher, clock)
    provisioner = Provisioner(dispatcher, clock)
    pruner = Pruner(
        dispatcher,
        clock,
        ages_of(settings),
        forget_files=lambda files: forget_results(settings, files),
        leading=lambda: members.leading("pruner"),
    )
    sweeper = Sweeper(
        dispatcher,
        PacedClock(clock, loops, "sweeper", settings.lease),
        pace=settings.sweep,
        lease=settings.lease,
        launch_timeout=settings.launch_timeout,
        is_dead=_is_dead,
        end_host=provisioner.end_host,
        late_after=settings.late_after,
    )
    feed = EventFeed(dispatcher, clock)
    automator = Automator(dispatcher, clock, grace=settings.lease)
    link = linking(settings.ui_url, address)
    deliverer = Deliverer(dispatcher, clock, OutsideCourier(f"stoker/{__version__}"), link)
    dispatcher.events.follow(feed, automator, deliverer)
    context = Context(
        dispatcher=dispatcher,
        granter=granter,
        metrics=metrics,
        readiness=Readiness(dispatcher, clock, loops, f"{socket.gethostname()}:{os.getpid()}"),
        provisioner=provisioner,
        sweeper=sweeper,
        feed=feed,
        clock=clock,
        version=__version__,
        home=str(settings.home),
        database=database_name(settings),
        heartbeat=settings.heartbeat,
        lease=settings.lease,
    )
    running = Running(clock, loops)
    running.start("provisioner", provisioner.run)
    running.start("granter", granter.run)
    running.start("sweeper", sweeper.run)
    running.start("promoter", Promoter(dispatcher, clock).run)
    running.start("scheduler", Scheduler(dispatcher, clock).run)
    running.start("backfiller", Backfiller(dispatcher, clock).run)
    running.start("metrics", metrics.run)
    running.start("pruner", pruner.run)
    running.start("event feed", feed.run)
    running.start("automator", automator.run)
    running.start("deliverer", deliverer.run)
    if isinstance(members, Members):
        peers = Peers(store, members, clock)
        Hearing(dispatcher, provisioner, members).join(peers)
        running.start("heartbeat", members.run)
        running.start("exchange of news", peers.run)
    return context, running


def _is_dead(process: ProcessIdentity) -> bool | None:
    machine = this_machine()
    if machine.shares_pids(process.machine):
        return not is_alive(process)
    return True if machine.was_booted_since(process.machine) else None
