"""Pages of projects, jobs and workers, settings, tokens, webhooks, and the API, as HTML."""

from collections.abc import Mapping, Sequence
from typing import Any

from webui import assets
from webui.templating import render

Record = Mapping[str, Any]
Records = Sequence[Record]


def projects_page(projects: Records, *, newest: int) -> str:
    """Return the page; cost and savings are those of the `newest` runs of all."""
    return render("pages/projects.html", projects=projects, newest=newest)


def jobs_page(jobs: Records, workers: Records, *, may_act: bool) -> str:
    """Return the page of the newest jobs and the workers; `may_act`: the asker may cancel one."""
    return render("pages/jobs.html", jobs=jobs, workers=workers, may_act=may_act)


def job_page(job: Record, parts: Records, *, may_act: bool) -> str:
    """Return the page of a job with its log, `parts` a claim each; renewed while it is open."""
    return render("pages/job.html", job=job, parts=parts, may_act=may_act)


def settings_page(settings: Sequence[tuple[str, str, str]]) -> str:
    """Return the page; each setting has a name, a value, and the variables that change it."""
    return render("pages/settings.html", settings=settings)


def tokens_page(tokens: Records) -> str:
    """Return the page with the form of a new token."""
    return render("pages/tokens.html", tokens=tokens)


def webhooks_page(webhooks: Records, topics: Sequence[str]) -> str:
    """Return the page with the form of a new webhook; each webhook has its last `deliveries`."""
    return render("pages/webhooks.html", webhooks=webhooks, topics=topics)


def docs_page() -> str:
    """Return the interactive API page, on Swagger UI."""
    return render("pages/docs.html", swagger=assets.SWAGGER, swagger_style=assets.SWAGGER_STYLE)
