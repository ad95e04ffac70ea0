"""The peer of `bench server`: Infinity with the default model in f32, on a CPU.

    pip install 'infinity-emb[torch,server]==0.0.78'
    python tests/bench/infinity.py [--port 7997]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.torch import save_file

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/quality"))
import torch_scores  # noqa: E402

# Beside tokenizer.json, which transformers alone does not take the limit and the special tokens from.
TOKENIZER = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, "cls_token": "[CLS]", "sep_token": "[SEP]",
             "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]",
             "model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}


def write_checkpoint(folder):
    """The default model as transformers reads one."""
    model = ROOT / "models/default"
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(model / name, folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENIZER))
    save_file(torch_scores.read_tensors(model / "model.safetensors"), folder / "model.safetensors", {"format": "pt"})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="7997")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        write_checkpoint(Path(scratch))
        flags = ["--model-id", scratch, "--served-model-name", "default", "--engine", "torch", "--device", "cpu",
                 "--no-bettertransformer", "--host", "127.0.0.1", "--port", arguments.port]
        program = Path(sys.executable).with_name("infinity_emb")
        offline = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
        subprocess.run([program, "v2", *flags], env=os.environ | offline, check=False)


if __name__ == "__main__":
    main()
