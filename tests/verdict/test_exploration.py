"""How candidates are chosen in rounds."""

import numpy as np
import pytest

from stnas.space import SearchSpace
from stnas.verdict.exploration import Field, explored


@pytest.fixture(scope="module")
def space():
    return SearchSpace.profile("micro", image_size=28, in_channels=1, num_classes=10)


def rows_of(space, *, n=200, score=None):
    """Draw candidates; score: a function of the effects' sum and of noise."""
    genotypes = space.sample(n, p_drop=0.6, seed=1)
    rng = np.random.default_rng(2)
    effects = rng.normal(size=(space.num_genes, int(space.choice_counts.max())))
    truth = effects[np.arange(space.num_genes), genotypes].sum(1)
    noise = rng.normal(size=n)
    losses = noise if score is None else score(truth, noise)
    rows = [
        {"genotype": space.format(g), "madds": int(m), "params": int(p), "loss": float(value)}
        for g, m, p, value in zip(
            genotypes, space.madds(genotypes), space.params(genotypes), losses, strict=True
        )
    ]
    return rows, dict(zip((row["genotype"] for row in rows), truth.tolist(), strict=True))


def explore(space, rows, truth, *, count=36, rounds=3, seed=0):
    field = Field(space, rows, count=count, measure="loss", judged_by="loss", seed=seed)
    batches = []

    def judge(texts):
        batches.append(texts)
        return [{"genotype": text, "loss": truth[text]} for text in texts]

    explored([field], rounds, judge)
    return field, batches


def test_rounds_share_the_candidates_and_train_each_once(space):
    rows, truth = rows_of(space)
    field, batches = explore(space, rows, truth, count=37)
    assert [len(batch) for batch in batches] == [13, 12, 12]
    taken = [text for batch in batches for text in batch]
    assert len(set(taken)) == 37
    assert sorted(row["genotype"] for row in field.field()) == sorted(taken)
    losses = [row["loss"] for row in field.field()]
    assert losses == sorted(losses)


def test_the_first_round_is_the_best_by_score_and_random_ones(space):
    rows, truth = rows_of(space)
    best = [row["genotype"] for row in sorted(rows, key=lambda row: row["loss"])]
    firsts = [explore(space, rows, truth, seed=seed)[1][0] for seed in (0, 0, 1)]
    for first in firsts:
        assert first[:6] == best[:6]
        assert not set(first[6:]) <= set(best[:12])
    assert firsts[0] == firsts[1] != firsts[2]


def test_a_model_finds_what_a_useless_score_does_not(space):
    rows, truth = rows_of(space)
    field, batches = explore(space, rows, truth, count=60)
    first, last = (np.mean([truth[text] for text in batches[i]]) for i in (0, 2))
    assert last < first - np.std(list(truth.values())) / 2
    assert all(fit.used and fit.error < fit.error_of_score for fit in field.fits)
    assert "the model chooses" in field.fits[0].told()
    order = sorted(field.expected, key=lambda text: field.expected[text])
    assert set(order) == {text for batch in batches for text in batch}
    assert np.mean([truth[t] for t in order[:10]]) < np.mean([truth[t] for t in order[10:]])


def test_the_score_decides_where_it_tells_all(space):
    rows, truth = rows_of(space, score=lambda own, _: own)
    _, batches = explore(space, rows, truth)
    best = sorted(truth, key=lambda text: truth[text])
    later = {text for batch in batches[1:] for text in batch}
    assert len(later & set(best[:36])) >= 16


def test_one_round_trains_nothing_and_takes_the_best_by_score(space):
    rows, truth = rows_of(space)
    field, batches = explore(space, rows, truth, count=5, rounds=1)
    assert batches == []
    best = sorted(rows, key=lambda row: row["loss"])[:5]
    assert list(field.field()) == best
    assert field.expected == {}


@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_few_candidates_all_take_part(space, n):
    rows, truth = rows_of(space)
    field, batches = explore(space, rows[:n], truth, count=12)
    assert sorted(text for batch in batches for text in batch) == sorted(
        row["genotype"] for row in rows[:n]
    )
    assert field.fits == []


def test_what_two_limits_take_is_trained_once(space):
    rows, truth = rows_of(space)
    fields = [
        Field(space, rows, count=20, measure="loss", judged_by="loss", seed=seed) for seed in (0, 1)
    ]
    trained = []

    def judge(texts):
        trained.extend(texts)
        return [{"genotype": text, "loss": truth[text]} for text in texts]

    explored(fields, 2, judge)
    assert len(trained) == len(set(trained)) < 40
