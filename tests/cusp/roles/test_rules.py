"""Real names of reward functions and logged keys, and the role a person would give them."""

import pytest

from cusp.roles.rules import role_by_name


def _names(text: str) -> list[str]:
    return text.split()


FORMAT = _names("""
format_reward format_reward_func strict_format_reward_func soft_format_reward_func xmlcount_reward_func
match_format_exactly match_format_approximately tag_count_reward get_tag_count_reward think_format_reward
formatting_reward_func format_reward_fn r2_format tsc_reward_format_fn format_and_language_reward_func
format_correctness answer_format correct_format xml_answer_tags math_format_reward check_answer_format
think_and_answer_tags answer_tag_reward Format ReActFormat MathFormat thinkFormatReward XMLCount
strictFormat count_xml reasoning_tags_reward structured_output_reward json_valid_reward think_tag_reward
function_works code_compiles_reward
""")
ACCURACY = _names("""
accuracy_reward correctness_reward_func correctness_reward check_answer check_answer_exactly check_numbers
correct_answer_reward_func r1_correctness correctness_check mc_idx_reward strategy_succeeds MathAccuracy
MultiModalAccuracyORM ExternalR1VAcc CountdownORM equation_reward_func math_verify_reward verifier_reward
exact_match_reward answer_reward math_reward_func acc gsm8k_reward xml_answer_correctness rule_verify
thinking_accuracy answer_match tests_passed
""")
NEITHER = _names("""
int_reward_func reasoning_steps_reward cosine_scaled_reward get_cosine_scaled_reward CosineReward
repetition_penalty_reward RepetitionPenalty len_reward soft_overlong_punishment SoftOverlong no_cheating
numbering_reward_func counting_reward_func spelling_reward_func speed_check
wordle_reward_func reward_fn reward_func tsc_reward_fn tsc_reward_sim_fn optimized_reward_fn_closure
write_model_outputs_to_file diversity_reward_fn news_alpha_reward_fn oversight_reward_fn pnl_reward_fn
risk_reward_fn r5_lang_consistency think_length_reward answer_length_penalty format_and_accuracy
correctness_and_format accuracy_and_format_reward information_reward transform_reward platform_reward
instruction_following tagalog_reward stage_reward rethink_reward infrastructure_reward
""")


@pytest.mark.parametrize(
    ("role", "names"), [("format", FORMAT), ("accuracy", ACCURACY), (None, NEITHER)]
)
def test_a_reward_function_has_the_role_that_its_name_says(
    role: str | None, names: list[str]
) -> None:
    for name in names:
        for key in (f"rewards/{name}", f"rewards/{name}/mean", f"train/rewards/{name}/mean"):
            assert role_by_name(key).role == role, key
        for key in (
            f"rewards/{name}/std",
            f"eval_rewards/{name}/mean",
            f"eval/rewards/{name}/mean",
            f"profiling/Time taken: GRPOTrainer.{name}",
        ):
            assert role_by_name(key).role is None, key


@pytest.mark.parametrize(
    ("key", "role"),
    [
        ("accuracy", "accuracy"),
        ("Accuracy", "accuracy"),
        ("FORMAT_REWARD", "format"),
        ("format_reward_avg", "format"),
        ("format_strict", "format"),
        ("reward/format", "format"),
        ("reward/accuracy", "accuracy"),
        ("critic/score/format", "format"),
        ("rewards / soft_format_reward_func / mean", "format"),
        ("completions/mean_length", "length"),
        ("completion_length", "length"),
        ("response_length/mean", "length"),
        ("mean_response_length", "length"),
        ("actor/entropy", "entropy"),
        ("policy/entropy", "entropy"),
        ("reward", "reward"),
        ("critic/rewards/mean", "reward"),
    ],
)
def test_a_clear_key_that_is_no_function_has_its_role(key: str, role: str) -> None:
    assert role_by_name(key).role == role
    assert not role_by_name(key).bad


@pytest.mark.parametrize(
    ("key", "role"),
    [
        ("format_failure_rate", "format"),
        ("format_errors/mean", "format"),
        ("malformed_rate", "format"),
        ("wrong_answer_rate", "accuracy"),
        ("incorrect_rate", "accuracy"),
        ("rewards/format_failure_rate", "format"),
    ],
)
def test_of_a_failure_rate_up_is_bad(key: str, role: str) -> None:
    assert (role_by_name(key).role, role_by_name(key).bad) == (role, True)


def test_what_is_trained_as_a_reward_is_good_upwards_whatever_it_punishes() -> None:
    assert not role_by_name("rewards/format_penalty").bad
    assert not role_by_name("rewards/invalid_format_reward").bad


@pytest.mark.parametrize(
    "key",
    _names(
        "reward_std eval_accuracy eval_acc test_accuracy validation/accuracy val-core/openai/gsm8k/acc/mean@1"
        " test_score/openai/gsm8k token_acc mean_token_accuracy answer_tokens num_output_tokens avg_p_structural"
        " error_rate rewards/accuracies rewards/margins math/lr timing_s/verify length_chars"
        " completions/max_length completions/mean_terminated_length prompt_length/mean response_length/max"
        " max_completion_length entropy_loss format_reward_std policy_ratio tokens_per_sec step"
    ),
)
def test_any_other_key_has_no_role_of_the_training(key: str) -> None:
    assert role_by_name(key).role in (None, "reward_std")
