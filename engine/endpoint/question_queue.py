"""Many questions to an endpoint: several at a time, each once, within a budget, and stopped without losing answers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from engine.endpoint.account import Account, BudgetReached
from engine.endpoint.answer_cache import AnswerCache
from engine.endpoint.chat import Answer, ChatRequest, Endpoint
from engine.runtime.interrupt import StopRequest
from engine.runtime.progress import Task

GLANCE = 0.2
"""Seconds between looks at whether to stop."""


class QuestionQueue:
    """Asks an endpoint what the cache does not know."""

    def __init__(self, endpoint: Endpoint, cache: AnswerCache, account: Account, stop: StopRequest) -> None:
        """Ask an endpoint.

        Args:
            endpoint: the model.
            cache: answers so far, within its `room`.
            account: counts tokens and money.
            stop: once it is asked, questions under way are answered and kept, and no other is sent.
        """
        self.endpoint, self.cache, self.account, self.stop = endpoint, cache, account, stop

    def known(self, request: ChatRequest) -> Answer | None:
        """Return the answer to a request if it is on disk."""
        return self.cache.get(request.digest(self.endpoint.name))

    def answers(self, requests: Sequence[ChatRequest], task: Task | None = None) -> list[Answer]:
        """Return the answers to requests, in their order; equal ones are asked once.

        `task` is told of calls and money so far, and not advanced.

        Raises:
            MonosemError: the endpoint refuses one or does not answer, or answers cannot be kept.
            BudgetReached: the next call might exceed the budget.
            KeyboardInterrupt: stopped on request.
        """
        digests = [request.digest(self.endpoint.name) for request in requests]
        found: dict[str, Answer] = {}
        wanted: dict[str, ChatRequest] = {}
        for digest, request in zip(digests, requests, strict=True):
            if digest in found or digest in wanted:
                continue
            if (answer := self.cache.get(digest)) is not None:
                found[digest] = answer
                self.account.reused += 1
                self._report(task)
            else:
                wanted[digest] = request
        if wanted:
            found |= self._asked(wanted, task)
        return [found[digest] for digest in digests]

    def _asked(self, wanted: dict[str, ChatRequest], task: Task | None) -> dict[str, Answer]:
        """Ask for answers that the cache lacks; on trouble, wait for those under way, then raise it."""
        found: dict[str, Answer] = {}
        waiting, under_way = list(wanted)[::-1], dict[Future[Answer], str]()
        trouble: BaseException | None = None
        with ThreadPoolExecutor(self.endpoint.parallel) as pool:
            try:
                while (waiting and trouble is None) or under_way:
                    trouble = trouble or self.cache.trouble or (KeyboardInterrupt() if self.stop.asked else None)
                    if trouble is None:
                        trouble = self._fill(pool, wanted, waiting, under_way)
                    else:
                        self.endpoint.stop()
                    done = wait(under_way, GLANCE, FIRST_COMPLETED).done if under_way else ()
                    for future in done:
                        digest, error = under_way.pop(future), future.exception()
                        self.account.end(wanted[digest], None if error else future.result().use)
                        if error is None:
                            found[digest] = future.result()
                            self._report(task)
                        trouble = trouble or error
            except BaseException:
                self.endpoint.stop(at_once=True)
                raise
        if trouble is not None:
            raise trouble
        return found

    def _fill(
        self,
        pool: ThreadPoolExecutor,
        wanted: dict[str, ChatRequest],
        waiting: list[str],
        under_way: dict[Future[Answer], str],
    ) -> BudgetReached | None:
        """Send as many requests as may be under way; return why none may be sent any more."""
        while waiting and len(under_way) < self.endpoint.parallel:
            request = wanted[waiting[-1]]
            if not self.account.allows(request):
                # Those under way are counted at the most that they may cost; some money may come back.
                return None if under_way else self.account.reached(request)
            self.account.begin(request)
            digest = waiting.pop()
            under_way[pool.submit(self._one, digest, request)] = digest
        return None

    def _one(self, digest: str, request: ChatRequest) -> Answer:
        answer = self.endpoint.complete(request)
        self.cache.put(digest, answer)
        return answer

    def _report(self, task: Task | None) -> None:
        if task is not None:
            money = {"money": f"{self.account.money:.4f}"} if self.account.price else {}
            task.advance(0, calls=self.account.calls + self.account.reused, **money)
