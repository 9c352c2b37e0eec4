"""Build the embedded model `nano` from the project's own generators: tokenizer, pretraining, safetensors.

    python scripts/build_nano.py --out affine_trainer/nano

Seeded: the same machine type gives the same text, the same tokenizer and the same order of batches; the
weights agree up to the hardware's arithmetic.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from transformers import GenerationConfig, PreTrainedTokenizerFast

from scripts.nano.mixture import Mixture, tokenizer_texts
from scripts.nano.pretrain import Encoded, Shape, build_model, encode, train
from scripts.nano.tokenizer import save_tokenizer, train_tokenizer

TOKENIZER_DOCUMENTS = 24_000
CHUNK = 1000
MAX_DOCUMENT_TOKENS = 768


def encode_chunk(job: tuple[int, int, int, str]) -> list[Encoded]:
    """Documents first..last of the mixture, encoded; runs in a worker process."""
    seed, first, last, folder = job
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    encoded = (encode(messages, tokenizer) for messages in Mixture(seed).documents(first, last))
    return [document for document in encoded if len(document.ids) <= MAX_DOCUMENT_TOKENS]


def make_documents(seed: int, count: int, folder: Path, workers: int) -> list[Encoded]:
    """The first `count` documents of the mixture, encoded with the tokenizer in `folder`."""
    jobs = [(seed, first, min(first + CHUNK, count), str(folder)) for first in range(0, count, CHUNK)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        return list(itertools.chain.from_iterable(pool.imap(encode_chunk, jobs)))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("affine_trainer/nano"))
    parser.add_argument("--documents", type=int, default=560_000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--tokens-per-batch", type=int, default=8192)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--vocab-size", type=int, default=2048)
    parser.add_argument("--hidden-size", type=int, default=192)
    parser.add_argument("--num-layers", type=int, default=4)
    parser.add_argument("--num-heads", type=int, default=4)
    parser.add_argument("--intermediate-size", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    return parser.parse_args()


def main() -> None:
    """Tokenizer, text, training, files; prints how long each takes."""
    args = parse_arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    clock = time.perf_counter()

    tokenizer = train_tokenizer(tokenizer_texts(args.seed, TOKENIZER_DOCUMENTS), args.vocab_size)
    save_tokenizer(tokenizer, args.out)
    print(f"tokenizer: {len(tokenizer)} tokens, {time.perf_counter() - clock:.0f} s", flush=True)

    documents = make_documents(args.seed, args.documents, args.out, args.workers)
    tokens = sum(len(document.ids) for document in documents)
    print(
        f"text: {len(documents)} documents, {tokens / 1e6:.1f} M tokens, {time.perf_counter() - clock:.0f} s",
        flush=True,
    )

    shape = Shape(args.hidden_size, args.num_layers, args.num_heads, args.intermediate_size)
    model = build_model(shape, tokenizer).float()
    print(f"model: {model.num_parameters() / 1e6:.2f} M parameters on {device}", flush=True)
    progress = train(
        model,
        documents,
        epochs=args.epochs,
        tokens_per_batch=args.tokens_per_batch,
        learning_rate=args.learning_rate,
        seed=args.seed,
        device=device,
    )
    loss = float("nan")
    for step, loss, rate in progress:
        print(f"step {step}: loss {loss:.4f}, {rate / 1e3:.0f}k tokens/s", flush=True)

    torch.nn.Module.to(model, device="cpu", dtype=torch.bfloat16)  # the wrapped `to` has no usable type
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(args.out)
    record = {**vars(args), "out": "affine_trainer/nano", "device": device, "final_loss": loss}
    record |= {
        "parameters": model.num_parameters(),
        "tokens": tokens * args.epochs,
        "torch": torch.__version__,
    }
    record["seconds"] = round(time.perf_counter() - clock)
    (args.out / "build.json").write_text(json.dumps(record, indent=2, default=str) + "\n")
    print(f"done in {record['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
