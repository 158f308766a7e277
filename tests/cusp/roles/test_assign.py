"""Which keys make a role, how several are added up, and what is said of it."""

import pytest

from cusp.errors import CuspError
from cusp.metrics import canonical
from cusp.roles.assign import RoleError, assign, check_roles, describe

SOFT, XML, RIGHT = (
    "rewards/soft_format_reward_func",
    "rewards/xmlcount_reward_func",
    "rewards/correctness_reward_func",
)


def test_two_functions_in_one_dict_never_overwrite_each_other() -> None:
    logged = {"rewards/format_reward/mean": 0.25, "rewards/think_format_reward/mean": 0.5}
    stored = canonical(logged)
    assert stored == {"rewards/format_reward": 0.25, "rewards/think_format_reward": 0.5}
    assert assign(stored).values({k: 1.0 * v for k, v in logged.items()}) == {}
    assert assign(logged).values(logged) == {"format": 0.75}


def test_several_functions_are_added_up_as_they_are_weighted_in_training() -> None:
    found = assign([SOFT, XML, RIGHT], {}, {"xmlcount_reward_func": 0.5})
    assert found.values({SOFT: 0.2, XML: 0.4, RIGHT: 0.9}) == pytest.approx(
        {"format": 0.4, "accuracy": 0.9}
    )


def test_a_function_alone_keeps_the_scale_it_is_logged_on() -> None:
    assert assign([RIGHT], {}, {"correctness_reward_func": 2.0}).values({RIGHT: 0.5}) == {
        "accuracy": 0.5
    }


def test_where_one_function_was_not_logged_the_role_was_not_measured() -> None:
    found = assign([SOFT, XML])
    assert found.values({SOFT: 0.4}) == {}
    assert found.values({SOFT: 0.4, XML: 0.4}) == {"format": 0.8}


def test_a_function_of_weight_0_is_in_no_role_beside_one_that_is_trained() -> None:
    found = assign([SOFT, XML], {}, {"xmlcount_reward_func": 0.0})
    assert found.values({SOFT: 0.4, XML: 0.4}) == {"format": 0.4}
    assert found.untrained == (XML,)
    assert any("weight is 0" in said and XML in said for said in describe(found))


def test_an_accuracy_that_is_only_measured_is_the_accuracy_all_the_same() -> None:
    """A recipe with a cosine reward logs the plain accuracy beside it, at weight 0."""
    names = ["rewards/cosine_reward", "rewards/accuracy_reward"]
    found = assign(names, {}, {"accuracy_reward": 0.0, "cosine_reward": 1.0})
    assert found.values({"rewards/accuracy_reward": 0.5}) == {"accuracy": 0.5}


def test_a_failure_rate_is_turned_round() -> None:
    found = assign(["format_failure_rate"])
    assert found.values({"format_failure_rate": 0.25}) == {"format": 0.75}
    assert "1 - format_failure_rate" in describe(found)[0]
    assert "up is bad" in describe(found)[0]


def test_a_reward_trained_downwards_is_turned_round() -> None:
    assert assign([SOFT], {}, {"soft_format_reward_func": -1.0}).values({SOFT: 0.25}) == {
        "format": -0.25
    }


def test_who_logs_the_role_itself_has_said_what_it_is() -> None:
    found = assign(["format_reward", SOFT, XML])
    assert found.values({"format_reward": 0.5, SOFT: 0.1, XML: 0.1}) == {"format": 0.5}
    assert found.unrecognised == ()


def test_a_run_of_an_older_client_goes_on_under_a_newer_one() -> None:
    found = assign(["format_reward", "rewards/format_reward"])
    assert found.values({"format_reward": 0.5}) == {"format": 0.5}
    assert found.values({"rewards/format_reward": 0.5}) == {"format": 0.5}


def test_the_mean_length_goes_before_the_longest_of_the_batch() -> None:
    both = {"completion_length": 400.0, "completions/mean_length": 80.0}
    assert canonical(both) == {"completion_length": 80.0}
    assert canonical(dict(reversed(both.items()))) == {"completion_length": 80.0}
    assert assign(both).values(both) == {"length": 80.0}
    assert canonical({**both, "completions/mean_length": None}) == {"completion_length": 400.0}
    assert canonical({**both, "completions/mean_length": float("nan")}) == {
        "completion_length": 400.0
    }


def test_what_the_user_told_goes_before_the_rules() -> None:
    told = {"format": ["xmlcount_reward_func"], "accuracy": ["rewards/int_reward_func/mean"]}
    found = assign([SOFT, XML, RIGHT, "rewards/int_reward_func"], told)
    values = {SOFT: 0.1, XML: 0.2, RIGHT: 0.3, "rewards/int_reward_func": 0.4}
    assert found.values(values) == {"format": 0.2, "accuracy": 0.4}
    assert "(told)" in describe(found)[0]


def test_an_empty_list_means_that_no_key_has_the_role() -> None:
    assert assign([SOFT, RIGHT], {"format": []}).values({SOFT: 0.5, RIGHT: 0.5}) == {
        "accuracy": 0.5
    }


def test_a_told_key_that_is_not_logged_yet_is_named() -> None:
    said = describe(assign([SOFT], {"format": ["rewards/my_shape"]}))
    assert "told and not logged so far: rewards/my_shape" in said[0]
    assert "none found" in said[0]


def test_names_that_differ_from_step_to_step_are_no_role() -> None:
    names = [f"rewards/format_of_prompt_{number}" for number in range(40)]
    found = assign(names)
    assert found.members == {}
    assert len(found.unrecognised) == 40
    assert "and 32 more" in " ".join(describe(found))


def test_what_is_missing_and_what_that_costs_is_said() -> None:
    said = describe(assign(["completion_length", "rewards/int_reward_func", "reward"]))
    assert said == [
        "Format reward: none found, so the transition is looked for in completion length alone.",
        "Accuracy reward: none found, so a fall of it cannot be seen and its peak is no candidate.",
        "Completion length: completion_length (by name).",
        "Not recognised, so in no role: rewards/int_reward_func.",
        'To tell it: roles={"format": ["KEY"]} in the training, --role format=KEY for cusp replay, or'
        " Roles on the run's page.",
    ]


def test_nothing_is_said_of_how_to_tell_where_nothing_is_missing() -> None:
    said = describe(assign([SOFT, RIGHT, "completion_length"]))
    assert len(said) == 3
    assert all("(by name)" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"formt": ["a"]}, "'formt' is no role; the roles are format, accuracy, length"),
        ({"format": ["a"], "accuracy": ["a"]}, "told for two roles, format and accuracy"),
        ({"length": ["a", "b"]}, "the role length is one key, not 2"),
        ({"format": "a"}, "must be a list"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_way_out(
    told: dict[str, list[str]], words: str
) -> None:
    with pytest.raises(RoleError, match=words) as refused:
        check_roles(told)
    assert isinstance(refused.value, CuspError)


def test_a_key_that_was_never_logged_is_refused_with_those_like_it() -> None:
    with pytest.raises(RoleError, match=r"was never logged.*rewards/soft_format_reward_func"):
        check_roles({"format": ["soft_formt_reward_func"]}, [SOFT, XML, "loss"])
    check_roles({"format": ["soft_format_reward_func"]}, [SOFT, XML])


def test_an_unknown_key_that_looks_like_a_reward_is_named_and_no_run_without_rewards() -> None:
    found = assign(["loss", "entropy", "my_score", "eval_score", "rewards/chosen", "learning_rate"])
    assert found.rewardlike == ("my_score", "rewards/chosen")
    said = " ".join(describe(assign(["loss", "entropy", "my_score"])))
    assert "No rewards are logged" not in said
    assert "Looks like a reward, but is in no role: my_score." in said
    assert "No rewards are logged" in " ".join(describe(assign(["loss", "mean_token_accuracy"])))
