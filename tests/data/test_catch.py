import numpy as np
import pytest

from attend.data.catch import LEFT, PADDLE, RIGHT, STAY, Catch


def test_a_game_has_one_ball_that_falls_and_a_paddle_of_two_pixels():
    games = Catch(np.arange(200), 10)
    for row in range(10):
        seen = games.frame()
        assert seen.shape == (200, 1, 10, 10)
        assert (seen[:, 0, :-1].sum(axis=(1, 2)) == (row < 9)).all()
        assert seen[:, 0, row].any()
        if row < 9:
            assert (seen[:, 0, -1].sum(axis=1) == PADDLE).all()
            games.act(np.full(200, STAY))


def test_balls_move_at_most_a_column_a_row_and_stay_on_the_grid():
    games = Catch(np.arange(500), 12)
    before = games.column()
    while games.row < 11:
        games.act(np.full(500, STAY))
        assert np.abs(games.column() - before).max() <= 1
        before = games.column()
        assert before.min() >= 0
        assert before.max() <= 11


def test_balls_bounce():
    games = Catch(np.arange(500), 12)
    drift = games.drift
    while games.row < 11:
        games.act(np.full(500, STAY))
    turned = np.sign(games.drift) != np.sign(drift)
    assert 0.1 < turned.mean() < 0.9


def test_paddles_move_and_stop_at_the_walls():
    games = Catch(np.arange(100), 12)
    start = games.paddle
    games.act(np.full(100, LEFT))
    np.testing.assert_array_equal(games.paddle, np.maximum(start - 1, 0))
    games.act(np.full(100, RIGHT))
    games.act(np.full(100, RIGHT))
    np.testing.assert_array_equal(games.paddle, np.minimum(np.maximum(start - 1, 0) + 2, 12 - PADDLE))


def test_who_goes_where_the_ball_will_land_catches_it():
    ahead, games = Catch(np.arange(300), 12), Catch(np.arange(300), 12)
    for _ in range(11):
        ahead.act(np.full(300, STAY))
    for _ in range(11):
        games.act(STAY + np.clip(ahead.column() - games.paddle, -1, 1))
    assert games.reward().mean() == 1


def test_a_game_is_its_seeds():
    one, both = Catch(np.array([7]), 12), Catch(np.array([3, 7]), 12)
    np.testing.assert_array_equal(one.frame()[0], both.frame()[1])
    starts = Catch(np.arange(2000), 12)
    # All columns and drifts, about equally often.
    assert np.bincount(starts.ball.astype(int), minlength=12).min() > 100
    assert abs(starts.drift.mean()) < 0.05
    assert starts.drift.std() == pytest.approx(1 / 3**0.5, abs=0.03)


def test_what_can_not_be_is_refused():
    with pytest.raises(ValueError, match="at least 4"):
        Catch(np.arange(2), 3)
    games = Catch(np.arange(2), 4)
    with pytest.raises(ValueError, match="not over"):
        games.reward()
    for _ in range(3):
        games.act(np.full(2, STAY))
    with pytest.raises(ValueError, match="are over"):
        games.act(np.full(2, STAY))
