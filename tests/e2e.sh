#!/usr/bin/env bash
# The whole pipeline at a small scale in an empty folder: run, run again, grade by hand. Fails on any surprise.
set -euo pipefail
python="${PYTHON:-python3}"
case "$python" in */*) python="$(cd "$(dirname "$python")" && pwd)/$(basename "$python")" ;; esac
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

affine() {
    PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" "$python" -c 'from affine_trainer.cli import main; main()' "$@"
}
small=(
    --set run=e2e
    --set data.num_samples=240
    --set data.agentgym.environments=[textcraft,alfworld]
    --set "data.agentgym.weights={textcraft: 20, alfworld: 20}"
    --set training.num_epochs=1
    --set training.eval_steps=5
    --set rl_training.num_rollouts=3
    --set rl_training.rollout_batch_size=24
    --set rl_training.mini_batch_size=12
    --set rl_training.micro_batch_size=12
    --set rl_training.validation_samples=12
    --set rl_training.validation_frequency=1
    --set evaluation.num_samples=12
    --set evaluation.unseen_family_samples=4
    --set evaluation.agent_samples=12
    --set sampling.bootstrap_samples=200
)

affine run "${small[@]}"
for file in data/e2e/train.jsonl models/e2e/sft_final/manifest.json models/e2e/rl_best/manifest.json \
    logs/e2e/eval/{base,sft,rl}/evaluation.json logs/e2e/compare/comparison.{json,md}; do
    [ -s "$file" ] || { echo "e2e: $file was not written" >&2; exit 1; }
done

find . -type f ! -name '*.lock' -exec cksum {} + | sort >before
affine run "${small[@]}"
find . -type f ! -name '*.lock' ! -name before -exec cksum {} + | sort >after
diff <(grep -v ' ./before$' before) <(grep -v ' ./after$' after) || { echo "e2e: a second run changed files" >&2; exit 1; }

affine grade affine:sat@validator/17 <<<"UNSAT" | grep -q '"success": false'
if affine run "${small[@]}" --set training.learning_rate=2e-3 >/dev/null 2>refused; then
    echo "e2e: another learning rate was not refused" >&2
    exit 1
fi
grep -q training.learning_rate refused
echo "e2e: the pipeline ran, ran again without changes, and refused another config"
