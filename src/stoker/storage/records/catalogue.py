"""What users set up: deployments, work pools and their queues."""

import msgspec

from stoker.domain.deployments import Deployment
from stoker.domain.pools import WorkPool, WorkQueue
from stoker.storage.records.rows import to_text
from stoker.storage.records.statements import Statements

_deployment = msgspec.json.Decoder(Deployment).decode
_pool = msgspec.json.Decoder(WorkPool).decode
_queue = msgspec.json.Decoder(WorkQueue).decode


class Catalogue(Statements):
    """See `CatalogueRecords`."""

    def put_deployment(self, deployment: Deployment) -> None:
        record, limit = to_text(deployment), deployment.concurrency_limit
        values = (deployment.id, deployment.full_name, deployment.pool, record, limit)
        self._do("put_deployment", values)

    def delete_deployment(self, deployment_id: str) -> None:
        self._do("delete_deployment", (deployment_id,))

    def deployment(self, name_or_id: str) -> Deployment | None:
        row = self._one("deployment", name=name_or_id)
        return _deployment(row[0]) if row else None

    def deployments(self, pool: str | None = None) -> list[Deployment]:
        return [_deployment(row[0]) for row in self._all("deployments", pool=pool)]

    def put_pool(self, pool: WorkPool) -> None:
        self._do("put_pool", (pool.name, to_text(pool)))

    def delete_pool(self, name: str) -> None:
        self._do("delete_pool", (name,))
        self._do("delete_queues", (name,))

    def pool(self, name: str) -> WorkPool | None:
        row = self._one("pool", name)
        return _pool(row[0]) if row else None

    def pools(self) -> list[WorkPool]:
        return [_pool(row[0]) for row in self._all("pools")]

    def put_queue(self, queue: WorkQueue) -> None:
        self._do("put_queue", (queue.pool, queue.name, queue.priority, to_text(queue)))

    def queues(self, pool: str) -> list[WorkQueue]:
        return [_queue(row[0]) for row in self._all("queues", pool)]
