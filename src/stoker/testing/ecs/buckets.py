"""The token buckets that ECS and Fargate hold their callers to.

Source: "Request throttling for the Amazon ECS API" in the API reference, and "AWS Fargate
throttling quotas" in the developer guide. All are per account and region.
"""

_CLASSES: tuple[tuple[str, float, float, tuple[str, ...]], ...] = (
    ("cluster modify", 20, 1, ("CreateCluster", "DeleteCluster")),
    ("cluster read", 50, 20, ("DescribeClusters", "ListClusters")),
    (
        "task definition modify",
        20,
        1,
        ("RegisterTaskDefinition", "DeregisterTaskDefinition"),
    ),
    (
        "task definition read",
        50,
        20,
        ("DescribeTaskDefinition", "ListTaskDefinitions", "ListTaskDefinitionFamilies"),
    ),
    ("tag modify", 20, 10, ("TagResource", "UntagResource")),
    ("tag read", 50, 20, ("ListTagsForResource",)),
    ("cluster resource modify", 100, 40, ("RunTask", "StopTask")),
    ("cluster resource read", 100, 20, ("DescribeTasks", "ListTasks")),
    ("service modify", 50, 5, ("CreateService", "UpdateService", "DeleteService")),
    ("service read", 100, 20, ("DescribeServices", "ListServices")),
    ("task protection", 200, 80, ("UpdateTaskProtection", "GetTaskProtection")),
    ("fargate calls", 20, 20, ("RunTask",)),
)

FARGATE_LAUNCHES = "fargate launches"
"""The bucket of tasks launched on Fargate, by RunTask and by services."""
SPOT_LAUNCHES = "fargate spot launches"
"""Fargate Spot has its own."""


class TokenBucket:
    """Holds up to `burst` tokens and gets `rate` new ones a second.

    Args:
        burst: Tokens when full.
        rate: Tokens a second.
    """

    def __init__(self, burst: float, rate: float) -> None:
        self.burst = burst
        self.rate = rate
        self._tokens = burst
        self._at: float | None = None

    def tokens(self, now: float) -> float:
        """The tokens there are."""
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = now
        return self._tokens

    def take(self, count: float, now: float) -> bool:
        """Take so many tokens, or none if there are fewer."""
        # A millionth is forgiven: a caller that waits the exact time must not lose by rounding.
        if self.tokens(now) + 1e-6 < count:
            return False
        self._tokens -= count
        return True

    def wait(self, count: float, now: float) -> float:
        """Seconds until there are so many tokens."""
        return max(0.0, count - self.tokens(now)) / self.rate


class Buckets:
    """All buckets of one account in one region.

    Args:
        scale: By what burst and rate of each are multiplied; 0.1 is an account a tenth as large,
            though a bucket never holds less than one token.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._by_action: dict[str, list[TokenBucket]] = {}
        self.by_name: dict[str, TokenBucket] = {}
        for name, burst, rate, actions in _CLASSES:
            bucket = self._make(name, burst, rate, scale)
            for action in actions:
                self._by_action.setdefault(action, []).append(bucket)
        self._make(FARGATE_LAUNCHES, 100, 20, scale)
        self._make(SPOT_LAUNCHES, 100, 20, scale)

    def _make(self, name: str, burst: float, rate: float, scale: float) -> TokenBucket:
        bucket = self.by_name[name] = TokenBucket(max(1.0, burst * scale), rate * scale)
        return bucket

    def allow(self, action: str, now: float) -> bool:
        """Whether a call may be made; it takes its tokens if it may."""
        buckets = self._by_action.get(action, [])
        if any(bucket.tokens(now) + 1e-6 < 1 for bucket in buckets):
            return False
        for bucket in buckets:
            bucket.take(1, now)
        return True
