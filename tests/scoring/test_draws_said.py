"""What is said of the draws of layers: how many each has, and where more are needed."""

from __future__ import annotations

from mcd.scoring.results import LayerSummary, draws_said, more_draws
from mcd.study.calibration import MOST_DRAWS


def layer(name: str, draws: int | None, *, decided: bool | None = True) -> LayerSummary:
    return LayerSummary(layer=name, neurons=4, labelled=4, draws=draws, decided=decided)


def test_the_smallest_p_is_said_by_layer_where_draws_differ() -> None:
    assert draws_said([]) == draws_said([layer("dead", None)]) == ""
    assert draws_said([layer("a", 1000), layer("b", 1000)]) == "1,000 draws (no p is counted below 1/1,001)"
    assert draws_said([layer("a", 4000), layer("b", 1000), layer("c", 4000)]) == (
        "1,000 draws in b (no p is counted below 1/1,001), 4,000 draws in a, c (no p is counted below 1/4,001)"
    )
    many = [layer("last", 1000), *(layer(f"l{at}", 200) for at in range(8))]
    assert draws_said(many).startswith("200 draws in l0, l1, l2, l3, l4, l5 and 2 more (")


def test_layers_that_need_more_draws_are_named_with_a_command_that_draws_more() -> None:
    open_ones = [layer("a", 16_000, decided=False), layer("b", 1000), layer("c", 16_000, decided=False)]
    said, command = more_draws(open_ones, 16_000, "runs/x")
    assert said == "more draws could change which neurons are significant in a, c"
    assert command == "mcd score runs/x --most-draws 64000"
    assert more_draws(open_ones, 200, "runs/x")[1].endswith("--most-draws 16000")  # the default, at least
    assert more_draws(open_ones, MOST_DRAWS, "runs/x") == (said, "")
    assert more_draws([layer("b", 1000), layer("dead", None, decided=None)], 16_000, "runs/x") == ("", "")
