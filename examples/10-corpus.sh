#!/usr/bin/env bash
# Build a corpus from a folder of text and say what is in it: filter, deduplicate, count, report.
#
#   examples/10-corpus.sh [DATA [FOLDER]]     (default: the embedded sample, runs/corpus)
#
# DATA holds WARC, HTML, JSONL, Parquet or text files, compressed or not. sources.tsv, in DATA or
# beside this script, tells by patterns of their paths which source and source group they are of;
# where no pattern fits any file, each file is a source of its own. In the end FOLDER holds
#
#   corpus.jsonl.zst   the documents that stay       report.html, report.md, figures/   the report
#   rejects/           what fell, and by which rule  counts.json   to be added up by stats merge
#
# JOBS is the number of processes, LANGUAGES what is kept, TOKENIZER a tokenizer to count tokens
# with (one is trained on the corpus otherwise, with VOCAB_SIZE pieces).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=${1:-$here/data}
out=${2:-runs/corpus}
jobs=${JOBS:-1}
languages=${LANGUAGES:-nob,nno,sme,smj,sma,dan,swe,deu,eng}
if ! command -v norcli >/dev/null; then
    echo "examples/10-corpus.sh: no norcli on the PATH; activate its environment first" >&2
    exit 69
fi
if [ ! -d "$data" ]; then
    echo "usage: examples/10-corpus.sh [DATA [FOLDER]]; $data is no folder" >&2
    exit 2
fi
table=$here/sources.tsv
if [ -e "$data/sources.tsv" ]; then table=$data/sources.tsv; fi
rm -rf "$out/files" "$out/parts" "$out/rejects" "$out/stats"
mkdir -p "$out/files" "$out/parts" "$out/rejects" "$out/stats"

# 1. Which files are of which source: one list of files for each line of the table.
find -L "$data" -type f | LC_ALL=C sort >"$out/files/all"
patterns=() sources=() groups=() licences=() copyrights=()
while IFS=$'\t' read -r pattern source group licence copyrighted; do
    case $pattern in '' | \#*) continue ;; esac
    patterns+=("$pattern") sources+=("$source") groups+=("$group")
    licences+=("$licence") copyrights+=("$copyrighted")
done <"$table"
while read -r file; do
    for k in "${!patterns[@]}"; do
        # shellcheck disable=SC2053  # the right side is a pattern
        if [[ ${file#"$data"/} == ${patterns[k]} ]]; then
            echo "$file" >>"$out/files/list-$k"
            continue 2
        fi
    done
done <"$out/files/all"
if ! compgen -G "$out/files/list-*" >/dev/null; then
    while read -r file; do
        case $file in *.jsonl | *.jsonl.* | *.parquet | *.txt | *.txt.* | *.warc* | *.wet* | *.html) ;;
        *) continue ;;
        esac
        k=${#sources[@]} name=${file##*/}
        sources+=("${name%%.*}") groups+=(Others) licences+=(-) copyrights+=(-)
        echo "$file" >"$out/files/list-$k"
    done <"$out/files/all"
fi

# 2. Filter each source by itself, so that every document knows where it is from.
runs=()
for list in "$out"/files/list-*; do
    k=${list##*-}
    flags=()
    if [ "${sources[k]}" != - ]; then flags+=(--source "${sources[k]}"); fi
    if [ "${groups[k]}" != - ]; then flags+=(--source-group "${groups[k]}"); fi
    if [ "${licences[k]}" != - ]; then flags+=(--license "${licences[k]}"); fi
    if [ "${copyrights[k]}" != - ]; then flags+=(--copyrighted "${copyrights[k]}"); fi
    if [ "${sources[k]}" = - ]; then
        echo "== crawl-filter: ${patterns[k]}, whose records name their source" >&2
    else
        echo "== crawl-filter: ${sources[k]}" >&2
    fi
    norcli crawl-filter --files-from "$list" --languages "$languages" "${flags[@]}" --jobs "$jobs" \
        --rejects "$out/rejects/filter-$k.jsonl" --stats "$out/stats/filter-$k.json" \
        --output "$out/parts/$k.jsonl"
    runs+=("$out/stats/filter-$k.json")
done

# 3. One corpus without duplicates, within sources and between them.
echo "== dedup" >&2
norcli dedup "$out"/parts/*.jsonl --keep longest --jobs "$jobs" --overwrite \
    --rejects "$out/rejects/dedup.jsonl" --stats "$out/stats/dedup.json" \
    --output "$out/corpus.jsonl.zst"
runs+=("$out/stats/dedup.json")

# 4. Count once; every form of the report is laid out from the counts.
tokenizer=${TOKENIZER:-$out/tokenizer}
if [ ! -e "$tokenizer" ]; then
    echo "== tokenize-train" >&2
    norcli tokenize-train "$out/corpus.jsonl.zst" --vocab-size "${VOCAB_SIZE:-2048}" \
        --output "$tokenizer"
fi
echo "== stats" >&2
norcli stats "$out/corpus.jsonl.zst" --tokenizer "$tokenizer" --corpus "${NAME:-My corpus}" \
    --runs "$(IFS=, && echo "${runs[*]}")" \
    --rejects "$(IFS=, && echo "$out"/rejects/*.jsonl | tr ' ' ,)" \
    --jobs "$jobs" --json --output "$out/counts.json" --overwrite
norcli stats merge "$out/counts.json" --beside-report --output "$out/report.html" --overwrite
norcli stats merge "$out/counts.json" --plots "$out/figures" --output "$out/report.md" --overwrite ||
    [ $? -eq 69 ] # without matplotlib there are no drawings
norcli stats merge "$out/counts.json" --beside-report

# 5. What a mixture like the report's third corpus would take of each part.
echo
echo "A mixture like NorLLM_Corpus_V3 of the size of this corpus:"
total=$(sed -n 's/^ *"tokens": \([0-9]*\),*$/\1/p' "$out/counts.json" | head -n 1)
norcli mix "$out/corpus.jsonl.zst" --recipe v3 --total "$total" --tokenizer "$tokenizer" \
    --jobs "$jobs" --dry-run || [ $? -eq 1 ] # 1: a part is missing or too small

echo
echo "The report for a browser: $out/report.html"
