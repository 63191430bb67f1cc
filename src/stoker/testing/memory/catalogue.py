"""What users set up: deployments, work pools and their queues."""

from stoker.domain.deployments import Deployment
from stoker.domain.pools import WorkPool, WorkQueue
from stoker.testing.memory.tables import Room, copies


class Catalogue(Room):
    """See `CatalogueRecords`."""

    def put_deployment(self, deployment: Deployment) -> None:
        for other in self._tables.deployments.values():
            if other.full_name == deployment.full_name and other.id != deployment.id:
                raise KeyError("unique: name of a deployment")
        self._tables.deployments.put(deployment.id, deployment)

    def delete_deployment(self, deployment_id: str) -> None:
        self._tables.deployments.pop(deployment_id, None)

    def deployment(self, name_or_id: str) -> Deployment | None:
        found = self._tables.deployments.values()
        return next(
            iter(copies(one for one in found if name_or_id in (one.id, one.full_name))), None
        )

    def deployments(self, pool: str | None = None) -> list[Deployment]:
        last: dict[str, str] = {}
        for run in self._tables.runs.values():
            of = run.deployment_id or ""
            last[of] = max(last.get(of, ""), run.id)
        found = [one for one in self._tables.deployments.values() if pool in (None, one.pool)]
        found.sort(key=lambda one: (last.get(one.id, ""), one.id), reverse=True)
        return copies(found)

    def put_pool(self, pool: WorkPool) -> None:
        self._tables.pools.put(pool.name, pool)

    def delete_pool(self, name: str) -> None:
        self._tables.pools.pop(name, None)
        for key in [key for key in self._tables.queues if key[0] == name]:
            del self._tables.queues[key]

    def pool(self, name: str) -> WorkPool | None:
        return self._tables.pools.find(name)

    def pools(self) -> list[WorkPool]:
        return copies(pool for _, pool in sorted(self._tables.pools.items()))

    def put_queue(self, queue: WorkQueue) -> None:
        self._tables.queues.put((queue.pool, queue.name), queue)

    def queues(self, pool: str) -> list[WorkQueue]:
        found = [queue for key, queue in self._tables.queues.items() if key[0] == pool]
        return copies(sorted(found, key=lambda queue: (queue.priority, queue.name)))
