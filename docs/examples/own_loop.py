"""A GRPO loop of one's own in plain PyTorch, with the metric names of a trainer that Cusp has no callback for.

    python docs/examples/own_loop.py [verl|openrlhf|unsloth]

A loop in verl's or OpenRLHF's style logs the *sum* of its rewards alone: Cusp says that it has found no format
reward and how to tell it. So this loop logs the two rewards as well, under the names in ROLES.
"""

import sys
from pathlib import Path

import torch
from small_task import MODEL, correctness_reward, format_reward, problems, tokenizer
from transformers import AutoModelForCausalLM

import cusp

# What is measured: reward, format, accuracy, length, share cut at the limit, entropy, loss, gradient norm.
NAMES = {
    "verl": (
        "critic/rewards/mean",
        "critic/format/mean",
        "critic/acc/mean",
        "response_length/mean",
        "response_length/clip_ratio",
        "actor/entropy",
        "actor/pg_loss",
        "actor/grad_norm",
    ),
    "openrlhf": (
        "reward",
        "format_rewards",
        "accuracy_rewards",
        "response_length",
        "truncated",
        "entropy",
        "policy_loss",
        "actor_grad_norm",
    ),
    "unsloth": (
        "reward",
        "rewards/match_format_exactly/mean",
        "rewards/check_answer/mean",
        "completions/mean_length",
        "completions/clipped_ratio",
        "entropy",
        "loss",
        "grad_norm",
    ),
}
ROLES = {"verl": {"format": ["critic/format/mean"], "accuracy": ["critic/acc/mean"]}}
STEPS, PROMPTS, GROUP, LIMIT = 200, 4, 6, 64


def main(style="verl"):
    words, model = tokenizer(), AutoModelForCausalLM.from_pretrained(MODEL)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    rows, out = problems(), Path("out/own_loop", style)
    torch.manual_seed(0)
    told = cusp.RunMetadata(
        roles=ROLES.get(style, {}),
        completions_per_point=PROMPTS * GROUP,
        max_steps=STEPS,
        save_steps=5,
    )
    run = cusp.init(project="examples", name=f"a loop like {style}", metadata=told, root=out)
    for step in range(1, STEPS + 1):
        batch = rows.select(range(step * PROMPTS % 240, step * PROMPTS % 240 + PROMPTS))
        measured = train_step(model, words, optimizer, batch)
        run.log(dict(zip(NAMES[style], measured, strict=True)), step=step)
        if step % 5 == 0:
            model.save_pretrained(out / f"checkpoint-{step}")
            run.checkpoint(out / f"checkpoint-{step}", step=step)
        if run.should_stop():  # asked for by the detector, or by a person on the run's page
            break
    run.finish()
    if run.kept is not None:
        print(f"kept: step {run.kept.step} in {run.kept.path}")


def train_step(model, words, optimizer, batch):
    """Sample, reward, one step of the policy gradient; return the measured numbers, in the order of NAMES."""
    prompts = words.apply_chat_template(
        list(batch["prompt"]),
        add_generation_prompt=True,
        return_tensors="pt",
        padding=True,
        return_dict=True,
    )
    tokens = model.generate(
        **prompts, do_sample=True, max_new_tokens=LIMIT, num_return_sequences=GROUP, top_k=0
    )
    made = tokens[:, prompts["input_ids"].shape[1] :]
    kept = (made == words.eos_token_id).cumsum(1) - (made == words.eos_token_id).int() < 1
    texts = words.batch_decode(
        torch.where(kept, made, words.pad_token_id), skip_special_tokens=True
    )
    right = [one for one in batch["solution"] for _ in range(GROUP)]
    forms, answers = (
        torch.tensor(format_reward(texts)),
        torch.tensor(correctness_reward(texts, right)),
    )
    rewards = (forms + answers).view(-1, GROUP)
    advantages = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
    mask = (tokens != words.pad_token_id).long()
    logits = model(tokens, attention_mask=mask).logits[:, -made.shape[1] - 1 : -1]
    every = torch.log_softmax(logits, dim=-1)
    chosen = every.gather(2, made.unsqueeze(2)).squeeze(2)
    loss = -(advantages.view(-1, 1) * chosen * kept).sum() / kept.sum()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    lengths = kept.sum(1).float()
    cut = ((made == words.eos_token_id).sum(1) == 0).float()
    entropy = -((every.exp() * every).sum(2) * kept).sum() / kept.sum()
    found = (
        rewards.mean(),
        forms.mean(),
        answers.mean(),
        lengths.mean(),
        cut.mean(),
        entropy,
        loss,
        norm,
    )
    return [one.item() for one in found]


if __name__ == "__main__":
    main(*sys.argv[1:])
