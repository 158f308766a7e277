"""Problems of reasoning-gym: determined by their seed, and held-out ones that no training has."""

import pytest

from trainer.gym.procedural import CHUNK, GymError, GymProblem, generator, gym_problems, split_of
from trainer.recipe import GymTask
from trainer.recipe_loader import load_recipe
from trainer.training.data import training_set

SUMS = GymTask(name="chain_sum", weight=1, config={"min_terms": 2, "max_terms": 2, "max_digits": 2})
EQUATIONS = GymTask(name="simple_equations", weight=3, config={})


def test_equal_seeds_give_equal_problems_and_others_others() -> None:
    one = gym_problems([SUMS, EQUATIONS], 40, 7, "train")
    assert gym_problems([SUMS, EQUATIONS], 40, 7, "train") == one
    assert [each.task for each in one].count("chain_sum") == 10
    assert len({each.question for each in one}) == len({each.id for each in one}) == 40
    other = gym_problems([SUMS, EQUATIONS], 40, 8, "train")
    assert {each.question for each in other} != {each.question for each in one}


def test_held_out_problems_are_in_no_training_whatever_its_seed() -> None:
    held_out = {
        each.id for split in ("selection", "report") for each in gym_problems([SUMS], 60, 5, split)
    }
    assert len(held_out) == 120
    for seed in range(20):
        trained = {each.id for each in gym_problems([SUMS], 300, seed, "train")}
        assert not trained & held_out
    selection = {each.id for each in gym_problems([SUMS], 60, 5, "selection")}
    assert not selection & {each.id for each in gym_problems([SUMS], 60, 6, "report")}


def test_seeds_of_reasoning_gym_overlap_so_seeds_alone_would_not_separate_sets() -> None:
    first, second = generator("chain_sum", "{}", 100), generator("chain_sum", "{}", 101)
    assert [first[n]["question"] for n in range(1, 9)] == [second[n]["question"] for n in range(8)]
    assert first[CHUNK - 1] is not None


def test_splits_hold_about_three_quarters_and_an_eighth_each() -> None:
    found = [split_of(f"{n} + 1 =") for n in range(4000)]
    assert found.count("train") == pytest.approx(3000, abs=100)
    assert found.count("selection") == pytest.approx(500, abs=70)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (GymTask(name="chain_sums", weight=1, config={}), "did you mean chain_sum"),
        (GymTask(name="chain_sum", weight=1, config={"terms": 2}), "no option 'terms'; it has"),
        (GymTask(name="chain_sum", weight=1, config={"seed": 2}), "no option 'seed'"),
        (GymTask(name="chain_sum", weight=1, config={"min_terms": 0}), "refuses.*min_terms"),
        (
            GymTask(name="chain_sum", weight=1, config={"max_terms": 2, "max_digits": 1}),
            "ask for fewer, or widen",
        ),
        (
            GymTask(name="composite", weight=1, config={"datasets": [{"name": "chain_sum"}]}),
            "only mixes others; name those in `tasks`",
        ),
    ],
)
def test_what_cannot_be_generated_is_refused_in_a_sentence(task: GymTask, words: str) -> None:
    with pytest.raises(GymError, match=words):
        gym_problems([task], 400, 0, "train")


def test_a_gold_names_what_generates_its_problem_again() -> None:
    problem = gym_problems([SUMS], 1, 0, "train")[0]
    assert GymProblem(**vars(problem)).gold == problem.gold
    assert problem.answer in problem.gold


def test_the_recipe_smol_has_disjoint_problems_for_training_and_evaluation() -> None:
    from trainer.evaluation.tasks import tasks_of

    recipe = load_recipe("smol", ["data.max_prompt_tokens=null"])
    trained = set(training_set(recipe, None)["id"])
    selection, (report,) = tasks_of(recipe)
    assert len(trained) == 512
    assert (len(selection.problems), len(report.problems)) == (64, 128)
    ids = [trained, {each.id for each in selection.problems}, {each.id for each in report.problems}]
    assert len(set.union(*ids)) == 512 + 64 + 128
