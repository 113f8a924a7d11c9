#!/usr/bin/env bash
# The same way as 00-quickstart.sh on real text: crawl and documents in, a model of 7 M parameters,
# its GGUF, its perplexity on held-back text, and a chat out. About 25 minutes on 2 cores.
#
#   examples/90-real-data.sh DATA [FOLDER]     (default: runs/real-data)
#
# DATA holds crawl/*.warc.gz and text/*.jsonl.gz (and *.txt.gz, one sentence a line). Stages that are
# complete are passed over. JOBS is the number of threads, MAX_TOKENS the length of pretraining.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -lt 1 ] || [ ! -d "$1" ]; then
    echo "usage: examples/90-real-data.sh DATA [FOLDER]" >&2
    exit 2
fi
real=$1
out=${2:-runs/real-data}
jobs=${JOBS:-2}
export NORCLI_PROGRESS_SECONDS=${NORCLI_PROGRESS_SECONDS:-30}
mkdir -p "$out/stats"

if [ ! -e "$out/corpus.jsonl" ]; then
    norcli crawl-filter "$real"/crawl/*.warc.gz "$real"/text/*.jsonl.gz "$real"/text/*.txt.gz \
        --languages nob,nno,sme --rejects "$out/rejects.jsonl" --overwrite \
        --jobs "$jobs" --stats "$out/stats/crawl-filter.json" |
        norcli dedup --jobs "$jobs" --rejects "$out/duplicates.jsonl" --overwrite \
            --output "$out/unique.jsonl" --stats "$out/stats/dedup.json"
    # One document in 200 is held back: neither tokenizer nor model sees it.
    awk 'NR % 200 == 0' "$out/unique.jsonl" >"$out/held-back.jsonl"
    awk 'NR % 200 != 0' "$out/unique.jsonl" >"$out/corpus.jsonl.part"
    mv "$out/corpus.jsonl.part" "$out/corpus.jsonl"
fi
norcli stats "$out/corpus.jsonl"
[ -e "$out/tokenizer" ] || norcli tokenize-train "$out/corpus.jsonl" --vocab-size 8192 \
    --output "$out/tokenizer" --stats "$out/stats/tokenize-train.json"
[ -e "$out/shards" ] || norcli tokenize "$out/corpus.jsonl" --tokenizer "$out/tokenizer" \
    --jobs "$jobs" --output "$out/shards" --stats "$out/stats/tokenize.json"
[ -e "$out/base/model.safetensors" ] || norcli pretrain "$out/shards" --preset norllama-micro \
    --tokenizer "$out/tokenizer" --max-tokens "${MAX_TOKENS:-1500000}" --global-batch-size 8 \
    --jobs "$jobs" --output "$out/base" --stats "$out/stats/pretrain.json"
[ -e "$out/tuned/model.safetensors" ] || norcli sft "$here/data/instructions.jsonl" \
    --model "$out/base" --epochs "${SFT_EPOCHS:-12}" --lr 1e-3 --global-batch-size 4 \
    --jobs "$jobs" --output "$out/tuned" --stats "$out/stats/sft.json"
norcli quantize "$out/base" --type Q4_K_M --type Q8_0 --overwrite \
    --output "$out/base-{type}.gguf" --stats "$out/stats/quantize.json"
norcli quantize "$out/tuned" --type Q8_0 --overwrite --output "$out/tuned-Q8_0.gguf"
for model in base base-Q8_0.gguf base-Q4_K_M.gguf; do
    echo "== perplexity of $model on held-back text"
    norcli eval "$out/$model" --tasks perplexity --data "$out/held-back.jsonl" --limit 60 \
        --jobs "$jobs" --output "$out/perplexity-$model.json" --overwrite
done
echo "Hva er Norges lengste elv?" | norcli chat "$out/tuned-Q8_0.gguf" --temperature 0
echo "Filmen handler om" | norcli chat "$out/base-Q8_0.gguf" --template none --temperature 0.7 \
    --max-new-tokens 40
echo "Chat on: norcli chat $out/tuned-Q8_0.gguf"
