"""A smaller day than the benchmark's: the same parts, the same rules."""

from bench_day import KINDS, simulate


def test_in_a_day_with_hostile_sites_each_healthy_one_has_its_turn_once() -> None:
    day = simulate(400, seed=1)

    assert day.wrong == []
    assert len(day.hostile) == 28
    assert set(day.hostile.values()) == set(KINDS)
    assert max(day.late_seconds) < 60
    slow = [name for name, kind in day.hostile.items() if kind == "is slow"]
    assert all(day.delivered[name] == 1 for name in slow)
    assert day.runs["crashed"] > 7 < day.runs["unreadable"]
