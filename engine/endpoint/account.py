"""Tokens and money: what calls have cost, and whether the next one may still be made."""

from __future__ import annotations

from dataclasses import dataclass

from engine.endpoint.chat import ChatRequest, TokenUse
from store.files.errors import MonosemError

PER = 1_000_000
"""Tokens that a price is for."""


@dataclass(frozen=True)
class TokenPrice:
    """Money per million tokens, in any currency."""

    prompt: float
    answer: float

    @classmethod
    def parse(cls, text: str) -> TokenPrice:
        """Read `IN,OUT`, such as 0.15,0.60.

        Raises:
            MonosemError: these are not two amounts.
        """
        try:
            prompt, answer = (float(part) for part in text.split(","))
        except ValueError:
            prompt = answer = -1.0
        if not (0 <= prompt < 1e9 and 0 <= answer < 1e9):
            raise MonosemError(f"`price` is {text[:40]!r}", "Write IN,OUT per million tokens, such as 0.15,0.60.")
        return cls(prompt, answer)

    def of(self, use: TokenUse) -> float:
        """Return the money for some tokens."""
        return (use.prompt * self.prompt + use.answer * self.answer) / PER

    def most(self, request: ChatRequest) -> float:
        """Return the money for a request at most: a token for each of its bytes, and an answer as long as allowed."""
        return self.of(TokenUse(request.most_prompt_tokens, request.most_tokens))


class BudgetReached(MonosemError):
    """The next call might cost more than is left. Everything answered so far is kept."""

    exit_code = 1


class Account:
    """The account of one command. Calls under way are counted at the most that they may cost."""

    def __init__(self, price: TokenPrice | None = None, budget: float | None = None) -> None:
        """Open an account.

        Args:
            price: None where nothing is paid.
            budget: money that may be spent; None for no limit.

        Raises:
            MonosemError: there is a budget without a price.
        """
        if budget is not None and price is None:
            raise MonosemError("`budget` needs `price`", "Give the price per million tokens: price=IN,OUT.")
        self.price, self.budget = price, budget
        self.use, self.money = TokenUse(), 0.0
        self.calls = self.reused = 0
        """Calls answered by the endpoint, and by the disk."""
        self._under_way = 0.0

    def allows(self, request: ChatRequest) -> bool:
        """Return whether a request fits into what is left, whatever it and those under way will cost."""
        if self.budget is None or self.price is None:
            return True
        return self.money + self._under_way + self.price.most(request) <= self.budget

    def begin(self, request: ChatRequest) -> None:
        """Count a request as under way."""
        self._under_way += self.price.most(request) if self.price else 0.0

    def end(self, request: ChatRequest, use: TokenUse | None) -> None:
        """Count a request as ended; `use` is None where it was not answered, and so not paid."""
        most = self.price.most(request) if self.price else 0.0
        self._under_way = max(0.0, self._under_way - most)
        if use is None:
            return
        self.calls += 1
        self.use += use
        # Tokens that nobody has counted are paid as if they were the most possible: a budget is a promise.
        self.money += 0.0 if self.price is None else self.price.of(use) if use.counted else most

    def reached(self, request: ChatRequest) -> BudgetReached:
        """Return the error that says why a request is not made."""
        most = self.price.most(request) if self.price else 0.0
        done = f"{self.calls} calls for {self.money:.4g}" if self.calls else "nothing was asked"
        return BudgetReached(
            f"the budget of {self.budget:g} is used up: {done}, and the next call may cost {most:.2g}",
            "Run it again with a larger `budget`: it goes on here, and nothing is paid twice.",
        )
