#!/usr/bin/env bash
# From web pages to a chat on the embedded sample: all nine commands, one after another.
#
#   examples/00-quickstart.sh [FOLDER]     (default: demo)
#
# Everything lands under FOLDER. A stage whose output is complete is passed over, so a second call
# goes on where the first one stopped; remove FOLDER to begin anew. JOBS is the number of threads
# (default 1; with 2 an idle machine trains faster, a busy one slower), PRETRAIN_EPOCHS and
# SFT_EPOCHS the length of the two
# long stages.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=$here/data
out=${1:-demo}
jobs=${JOBS:-1}
pretrain_epochs=${PRETRAIN_EPOCHS:-10}
sft_epochs=${SFT_EPOCHS:-25}
rlhf_steps=${RLHF_STEPS:-12}
export NORCLI_PROGRESS_SECONDS=${NORCLI_PROGRESS_SECONDS:-10}
mkdir -p "$out/stats"

# stage NAME OUTPUT COMMAND...: run a command unless its output is complete.
stage() {
    local name=$1 target=$2
    shift 2
    if [ -e "$out/stats/$name.json" ] && [ -e "$out/$target" ]; then
        echo "== $name: $out/$target is complete" >&2
        return
    fi
    echo "== $name" >&2
    local begin=$SECONDS
    norcli "$@" --stats "$out/stats/$name.json" --jobs "$jobs"
    echo $((SECONDS - begin)) >"$out/stats/$name.seconds"
}

find "$data/crawl/html" -name '*.html' | LC_ALL=C sort >"$out/pages.txt"

stage crawl-filter documents.jsonl crawl-filter \
    "$data/crawl/mc4.jsonl" "$data/crawl/news.jsonl.gz" "$data/crawl/broken.jsonl" \
    --files-from "$out/pages.txt" --languages nob,nno,sme \
    --rejects "$out/rejects.jsonl" --output "$out/documents.jsonl" --overwrite
stage dedup corpus.jsonl dedup "$out/documents.jsonl" \
    --rejects "$out/duplicates.jsonl" --output "$out/corpus.jsonl" --overwrite
stage tokenize-train tokenizer tokenize-train "$out/corpus.jsonl" \
    --vocab-size 2048 --output "$out/tokenizer" --overwrite
stage tokenize shards tokenize "$out/corpus.jsonl" \
    --tokenizer "$out/tokenizer" --output "$out/shards" --overwrite
# Training stages pick up their own checkpoints when they are called again.
stage pretrain base/model.safetensors pretrain "$out/shards" --preset norgpt-nano \
    --tokenizer "$out/tokenizer" --epochs "$pretrain_epochs" --global-batch-size 8 \
    --output "$out/base"
stage sft tuned/model.safetensors sft "$data/instructions.jsonl" --model "$out/base" \
    --epochs "$sft_epochs" --lr 3e-3 --global-batch-size 4 --output "$out/tuned"
stage rlhf aligned/policy/model.safetensors rlhf "$out/tuned" "$data/summaries.jsonl" \
    --encoder hashed-trigrams --steps "$rlhf_steps" --lr 1e-4 \
    --candidates 3 --reward-epochs 1 --too-long truncate --output "$out/aligned"
stage quantize model-Q8_0.gguf quantize "$out/aligned/policy" \
    --type Q8_0 --output "$out/model-Q8_0.gguf" --overwrite
stage eval report.json eval "$out/aligned/policy" --data "$data/evaluation" \
    --tasks closed-book-qa,multiple-choice,boolq,summarization,perplexity \
    --output "$out/report.json" --overwrite
echo "== chat" >&2
question="Hva er Norges lengste elv?"
begin=$SECONDS
answer=$(echo "$question" | norcli chat "$out/model-Q8_0.gguf" --temperature 0 --jobs "$jobs")
echo $((SECONDS - begin)) >"$out/stats/chat.seconds"

"${PYTHON:-python3}" "$here/summary.py" "$out"
printf '\n%s\n  %s\n\nChat on:\n  %s chat %s\n' \
    "$question" "$answer" "$(command -v norcli)" "$out/model-Q8_0.gguf"
