"""`report_to=["cusp"]` after `import cusp`, in every order of imports, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ARGUMENTS = "from transformers import TrainingArguments; a = dict(output_dir='out', use_cpu=True);"
USED = (
    "from transformers.integrations import get_reporting_integration_callbacks as made;"
    "import cusp;"
    "callbacks = [made(TrainingArguments(report_to=how, **a).report_to)[-1]()"
    " for how in (['cusp'], 'cusp', 'all')];"
    "assert {type(callback) for callback in callbacks} == {cusp.CuspCallback}, callbacks"
)


def python(code: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_import_cusp_imports_no_torch_and_no_transformers(tmp_path: Path) -> None:
    code = "import sys, cusp; assert not {'torch', 'transformers', 'trl'} & set(sys.modules)"
    python(code, tmp_path)


@pytest.mark.parametrize(
    "order",
    [
        f"import cusp; {ARGUMENTS}",
        f"import transformers; import cusp; {ARGUMENTS}",
        f"{ARGUMENTS} import cusp;",
        "import transformers.integrations as i; i.get_available_reporting_integrations; import cusp;"
        f"{ARGUMENTS}",
        f"import cusp, importlib; importlib.reload(cusp); {ARGUMENTS}",
    ],
)
def test_it_is_known_whichever_is_imported_first(tmp_path: Path, order: str) -> None:
    python(order + USED, tmp_path)
