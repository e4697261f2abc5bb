"""Several questions at once: all answers in order, or the first failure as itself."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def every(questions: Iterable[Coroutine[Any, Any, A]]) -> list[A]:
    """The answers in the order of the questions; a failure cancels the rest and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(question) for question in questions]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def both(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """The two answers, asked for at once."""
    one: list[Any] = await every((first, second))
    return one[0], one[1]
