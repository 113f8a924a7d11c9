# bash completion of norcli; made by tools/gen_docs.py
# shellcheck shell=bash disable=SC2207
_norcli_files() {
    local file
    COMPREPLY=()
    while IFS= read -r file; do
        # shellcheck disable=SC2053
        if [[ -d $file || $file == $1 ]]; then COMPREPLY+=("$file"); fi
    done < <(compgen -f -- "$word")
}
_norcli() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]:-}
    shopt -q extglob || shopt -s extglob
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W 'crawl-filter dedup stats mix tokenize-train tokenize models pretrain sft rlhf quantize eval chat serve export launch doctor warmup help --help --version' -- "$word"))
        return
    fi
    case "$command ${COMP_WORDS[2]:-}" in
        'crawl-filter sample') ((COMP_CWORD > 2)) && command='crawl-filter sample' ;;
        'dedup explain') ((COMP_CWORD > 2)) && command='dedup explain' ;;
        'stats merge') ((COMP_CWORD > 2)) && command='stats merge' ;;
        'models show') ((COMP_CWORD > 2)) && command='models show' ;;
        'models advise') ((COMP_CWORD > 2)) && command='models advise' ;;
        'rlhf sample') ((COMP_CWORD > 2)) && command='rlhf sample' ;;
        'rlhf score') ((COMP_CWORD > 2)) && command='rlhf score' ;;
        'rlhf reward-model') ((COMP_CWORD > 2)) && command='rlhf reward-model' ;;
        'rlhf ppo') ((COMP_CWORD > 2)) && command='rlhf ppo' ;;
        'quantize inspect') ((COMP_CWORD > 2)) && command='quantize inspect' ;;
        'eval score') ((COMP_CWORD > 2)) && command='eval score' ;;
        'eval tasks') ((COMP_CWORD > 2)) && command='eval tasks' ;;
        'launch task') ((COMP_CWORD > 2)) && command='launch task' ;;
    esac
    case "$command:$previous" in
        'crawl-filter:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'crawl-filter:--input-format') COMPREPLY=($(compgen -W 'auto jsonl json parquet text document html subtitles warc' -- "$word")); return ;;
        'crawl-filter:--text-key') COMPREPLY=(); return ;;
        'crawl-filter:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'crawl-filter:--max-bad') COMPREPLY=(); return ;;
        'crawl-filter:--limit') COMPREPLY=(); return ;;
        'crawl-filter:--shard') COMPREPLY=(); return ;;
        'crawl-filter:--layout') COMPREPLY=($(compgen -W 'auto records mc4 oscar culturax hplt hplt2 ncc mimir news transcripts tweets reddit' -- "$word")); return ;;
        'crawl-filter:--max-record-mib') COMPREPLY=(); return ;;
        'crawl-filter:--remove') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'crawl-filter:--on-damaged-file') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'crawl-filter:--output'|'crawl-filter:-o') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'crawl-filter:--output-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'crawl-filter:--rejects') _norcli_files '@(*.jsonl|*.gz|*.zst)'; return ;;
        'crawl-filter:--executor') COMPREPLY=($(compgen -W 'local slurm ray' -- "$word")); return ;;
        'crawl-filter:--tasks') COMPREPLY=(); return ;;
        'crawl-filter:--work-dir') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'crawl-filter:--cluster-file') _norcli_files '@(*.toml)'; return ;;
        'crawl-filter:--languages') COMPREPLY=(); return ;;
        'crawl-filter:--min-lang-score') COMPREPLY=(); return ;;
        'crawl-filter:--lid-model') _norcli_files '@(*.bin|*.ftz|*.safetensors)'; return ;;
        'crawl-filter:--mixed') COMPREPLY=($(compgen -W 'drop trim' -- "$word")); return ;;
        'crawl-filter:--rules') _norcli_files '@(*.toml)'; return ;;
        'crawl-filter:--disable') COMPREPLY=(); return ;;
        'crawl-filter:--blocklist') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'crawl-filter:--toxic-words') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'crawl-filter:--quality-model') _norcli_files '@(*.safetensors|*.bin|*.ftz)'; return ;;
        'crawl-filter:--pii') COMPREPLY=($(compgen -W 'tag mask drop off' -- "$word")); return ;;
        'crawl-filter:--pii-kinds') COMPREPLY=($(compgen -W 'email ip national_id account organization phone' -- "$word")); return ;;
        'crawl-filter:--source') COMPREPLY=(); return ;;
        'crawl-filter:--source-group') COMPREPLY=(); return ;;
        'crawl-filter:--license') COMPREPLY=(); return ;;
        'crawl-filter:--copyrighted') COMPREPLY=($(compgen -W 'yes no' -- "$word")); return ;;
        'crawl-filter:--config'|'crawl-filter:-c') _norcli_files '@(*.toml)'; return ;;
        'crawl-filter:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'crawl-filter:--seed') COMPREPLY=(); return ;;
        'crawl-filter:--jobs'|'crawl-filter:-j') COMPREPLY=(); return ;;
        'crawl-filter:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'crawl-filter:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'crawl-filter sample:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'crawl-filter sample:--input-format') COMPREPLY=($(compgen -W 'auto jsonl json parquet text document html subtitles warc' -- "$word")); return ;;
        'crawl-filter sample:--text-key') COMPREPLY=(); return ;;
        'crawl-filter sample:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'crawl-filter sample:--max-bad') COMPREPLY=(); return ;;
        'crawl-filter sample:--limit') COMPREPLY=(); return ;;
        'crawl-filter sample:--shard') COMPREPLY=(); return ;;
        'crawl-filter sample:--layout') COMPREPLY=($(compgen -W 'auto records mc4 oscar culturax hplt hplt2 ncc mimir news transcripts tweets reddit' -- "$word")); return ;;
        'crawl-filter sample:--max-record-mib') COMPREPLY=(); return ;;
        'crawl-filter sample:--remove') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'crawl-filter sample:--on-damaged-file') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'crawl-filter sample:--languages') COMPREPLY=(); return ;;
        'crawl-filter sample:--min-lang-score') COMPREPLY=(); return ;;
        'crawl-filter sample:--lid-model') _norcli_files '@(*.bin|*.ftz|*.safetensors)'; return ;;
        'crawl-filter sample:--mixed') COMPREPLY=($(compgen -W 'drop trim' -- "$word")); return ;;
        'crawl-filter sample:--rules') _norcli_files '@(*.toml)'; return ;;
        'crawl-filter sample:--disable') COMPREPLY=(); return ;;
        'crawl-filter sample:--blocklist') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'crawl-filter sample:--toxic-words') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'crawl-filter sample:--quality-model') _norcli_files '@(*.safetensors|*.bin|*.ftz)'; return ;;
        'crawl-filter sample:--pii') COMPREPLY=($(compgen -W 'tag mask drop off' -- "$word")); return ;;
        'crawl-filter sample:--pii-kinds') COMPREPLY=($(compgen -W 'email ip national_id account organization phone' -- "$word")); return ;;
        'crawl-filter sample:--source') COMPREPLY=(); return ;;
        'crawl-filter sample:--source-group') COMPREPLY=(); return ;;
        'crawl-filter sample:--license') COMPREPLY=(); return ;;
        'crawl-filter sample:--copyrighted') COMPREPLY=($(compgen -W 'yes no' -- "$word")); return ;;
        'crawl-filter sample:--reason') COMPREPLY=(); return ;;
        'crawl-filter sample:--characters') COMPREPLY=(); return ;;
        'crawl-filter sample:--config'|'crawl-filter sample:-c') _norcli_files '@(*.toml)'; return ;;
        'crawl-filter sample:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'crawl-filter sample:--seed') COMPREPLY=(); return ;;
        'crawl-filter sample:--jobs'|'crawl-filter sample:-j') COMPREPLY=(); return ;;
        'crawl-filter sample:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'crawl-filter sample:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'dedup:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'dedup:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'dedup:--text-key') COMPREPLY=(); return ;;
        'dedup:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'dedup:--max-bad') COMPREPLY=(); return ;;
        'dedup:--limit') COMPREPLY=(); return ;;
        'dedup:--shard') COMPREPLY=(); return ;;
        'dedup:--output'|'dedup:-o') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'dedup:--output-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'dedup:--executor') COMPREPLY=($(compgen -W 'local slurm ray' -- "$word")); return ;;
        'dedup:--tasks') COMPREPLY=(); return ;;
        'dedup:--work-dir') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'dedup:--cluster-file') _norcli_files '@(*.toml)'; return ;;
        'dedup:--min-chars') COMPREPLY=(); return ;;
        'dedup:--span-words') COMPREPLY=(); return ;;
        'dedup:--min-words') COMPREPLY=(); return ;;
        'dedup:--method') COMPREPLY=($(compgen -W 'url exact minhash lines paragraphs substring' -- "$word")); return ;;
        'dedup:--threshold') COMPREPLY=(); return ;;
        'dedup:--url-key') COMPREPLY=(); return ;;
        'dedup:--ngram') COMPREPLY=(); return ;;
        'dedup:--num-perm') COMPREPLY=(); return ;;
        'dedup:--bands') COMPREPLY=(); return ;;
        'dedup:--rows') COMPREPLY=(); return ;;
        'dedup:--scope') COMPREPLY=($(compgen -W 'global lang source' -- "$word")); return ;;
        'dedup:--keep') COMPREPLY=(); return ;;
        'dedup:--cluster') COMPREPLY=($(compgen -W 'components star' -- "$word")); return ;;
        'dedup:--rejects') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'dedup:--clusters') _norcli_files '@(*.parquet|*.jsonl)'; return ;;
        'dedup:--sweep') COMPREPLY=(); return ;;
        'dedup:--decontaminate') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'dedup:--decontaminate-ngram') COMPREPLY=(); return ;;
        'dedup:--decontaminate-hits') COMPREPLY=(); return ;;
        'dedup:--against') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'dedup:--save-index') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'dedup:--memory') COMPREPLY=(); return ;;
        'dedup:--spool-gib') COMPREPLY=(); return ;;
        'dedup:--config'|'dedup:-c') _norcli_files '@(*.toml)'; return ;;
        'dedup:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'dedup:--seed') COMPREPLY=(); return ;;
        'dedup:--jobs'|'dedup:-j') COMPREPLY=(); return ;;
        'dedup:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'dedup:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'dedup explain:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'dedup explain:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'dedup explain:--text-key') COMPREPLY=(); return ;;
        'dedup explain:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'dedup explain:--max-bad') COMPREPLY=(); return ;;
        'dedup explain:--limit') COMPREPLY=(); return ;;
        'dedup explain:--shard') COMPREPLY=(); return ;;
        'dedup explain:--method') COMPREPLY=($(compgen -W 'url exact minhash lines paragraphs substring' -- "$word")); return ;;
        'dedup explain:--threshold') COMPREPLY=(); return ;;
        'dedup explain:--url-key') COMPREPLY=(); return ;;
        'dedup explain:--ngram') COMPREPLY=(); return ;;
        'dedup explain:--num-perm') COMPREPLY=(); return ;;
        'dedup explain:--bands') COMPREPLY=(); return ;;
        'dedup explain:--rows') COMPREPLY=(); return ;;
        'dedup explain:--scope') COMPREPLY=($(compgen -W 'global lang source' -- "$word")); return ;;
        'dedup explain:--keep') COMPREPLY=(); return ;;
        'dedup explain:--cluster') COMPREPLY=($(compgen -W 'components star' -- "$word")); return ;;
        'dedup explain:--context') COMPREPLY=(); return ;;
        'dedup explain:--config'|'dedup explain:-c') _norcli_files '@(*.toml)'; return ;;
        'dedup explain:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'dedup explain:--seed') COMPREPLY=(); return ;;
        'dedup explain:--jobs'|'dedup explain:-j') COMPREPLY=(); return ;;
        'dedup explain:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'dedup explain:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'stats:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'stats:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'stats:--text-key') COMPREPLY=(); return ;;
        'stats:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'stats:--max-bad') COMPREPLY=(); return ;;
        'stats:--limit') COMPREPLY=(); return ;;
        'stats:--shard') COMPREPLY=(); return ;;
        'stats:--output'|'stats:-o') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'stats:--format') COMPREPLY=($(compgen -W 'auto text markdown json html' -- "$word")); return ;;
        'stats:--plots') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'stats:--plot-format') COMPREPLY=($(compgen -W 'svg png pdf' -- "$word")); return ;;
        'stats:--title') COMPREPLY=(); return ;;
        'stats:--runs') _norcli_files '@(*.json)'; return ;;
        'stats:--rejects') _norcli_files '@(*.jsonl|*.gz|*.zst)'; return ;;
        'stats:--tokenizer') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'stats:--corpus') COMPREPLY=(); return ;;
        'stats:--config'|'stats:-c') _norcli_files '@(*.toml)'; return ;;
        'stats:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'stats:--seed') COMPREPLY=(); return ;;
        'stats:--jobs'|'stats:-j') COMPREPLY=(); return ;;
        'stats:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'stats:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'stats merge:--output'|'stats merge:-o') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'stats merge:--format') COMPREPLY=($(compgen -W 'auto text markdown json html' -- "$word")); return ;;
        'stats merge:--plots') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'stats merge:--plot-format') COMPREPLY=($(compgen -W 'svg png pdf' -- "$word")); return ;;
        'stats merge:--title') COMPREPLY=(); return ;;
        'stats merge:--runs') _norcli_files '@(*.json)'; return ;;
        'stats merge:--rejects') _norcli_files '@(*.jsonl|*.gz|*.zst)'; return ;;
        'stats merge:--config'|'stats merge:-c') _norcli_files '@(*.toml)'; return ;;
        'stats merge:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'stats merge:--seed') COMPREPLY=(); return ;;
        'stats merge:--jobs'|'stats merge:-j') COMPREPLY=(); return ;;
        'stats merge:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'stats merge:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'mix:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'mix:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'mix:--text-key') COMPREPLY=(); return ;;
        'mix:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'mix:--max-bad') COMPREPLY=(); return ;;
        'mix:--limit') COMPREPLY=(); return ;;
        'mix:--shard') COMPREPLY=(); return ;;
        'mix:--output'|'mix:-o') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'mix:--output-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'mix:--order') COMPREPLY=($(compgen -W 'interleaved concatenated' -- "$word")); return ;;
        'mix:--recipe') _norcli_files '@(*.toml)'; return ;;
        'mix:--by') COMPREPLY=(); return ;;
        'mix:--shares') COMPREPLY=(); return ;;
        'mix:--weights') COMPREPLY=(); return ;;
        'mix:--epochs') COMPREPLY=(); return ;;
        'mix:--unit') COMPREPLY=($(compgen -W 'tokens words bytes documents' -- "$word")); return ;;
        'mix:--total') COMPREPLY=(); return ;;
        'mix:--max-epochs') COMPREPLY=(); return ;;
        'mix:--tokenizer') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'mix:--config'|'mix:-c') _norcli_files '@(*.toml)'; return ;;
        'mix:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'mix:--seed') COMPREPLY=(); return ;;
        'mix:--jobs'|'mix:-j') COMPREPLY=(); return ;;
        'mix:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'mix:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'tokenize-train:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'tokenize-train:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'tokenize-train:--text-key') COMPREPLY=(); return ;;
        'tokenize-train:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'tokenize-train:--max-bad') COMPREPLY=(); return ;;
        'tokenize-train:--limit') COMPREPLY=(); return ;;
        'tokenize-train:--shard') COMPREPLY=(); return ;;
        'tokenize-train:--output'|'tokenize-train:-o') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'tokenize-train:--vocab-size') COMPREPLY=(); return ;;
        'tokenize-train:--character-coverage') COMPREPLY=(); return ;;
        'tokenize-train:--required-chars') COMPREPLY=(); return ;;
        'tokenize-train:--sample-bytes') COMPREPLY=(); return ;;
        'tokenize-train:--mix') COMPREPLY=(); return ;;
        'tokenize-train:--temperature') COMPREPLY=(); return ;;
        'tokenize-train:--language-key') COMPREPLY=(); return ;;
        'tokenize-train:--measure-on') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'tokenize-train:--config'|'tokenize-train:-c') _norcli_files '@(*.toml)'; return ;;
        'tokenize-train:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'tokenize-train:--seed') COMPREPLY=(); return ;;
        'tokenize-train:--jobs'|'tokenize-train:-j') COMPREPLY=(); return ;;
        'tokenize-train:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'tokenize-train:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'tokenize:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'tokenize:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'tokenize:--text-key') COMPREPLY=(); return ;;
        'tokenize:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'tokenize:--max-bad') COMPREPLY=(); return ;;
        'tokenize:--limit') COMPREPLY=(); return ;;
        'tokenize:--shard') COMPREPLY=(); return ;;
        'tokenize:--output'|'tokenize:-o') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'tokenize:--tokenizer') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'tokenize:--shard-tokens') COMPREPLY=(); return ;;
        'tokenize:--language-key') COMPREPLY=(); return ;;
        'tokenize:--config'|'tokenize:-c') _norcli_files '@(*.toml)'; return ;;
        'tokenize:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'tokenize:--seed') COMPREPLY=(); return ;;
        'tokenize:--jobs'|'tokenize:-j') COMPREPLY=(); return ;;
        'tokenize:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'tokenize:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'models:--config'|'models:-c') _norcli_files '@(*.toml)'; return ;;
        'models:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'models:--seed') COMPREPLY=(); return ;;
        'models:--jobs'|'models:-j') COMPREPLY=(); return ;;
        'models:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'models:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'models show:--context') COMPREPLY=(); return ;;
        'models show:--vocab-size') COMPREPLY=(); return ;;
        'models show:--config'|'models show:-c') _norcli_files '@(*.toml)'; return ;;
        'models show:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'models show:--seed') COMPREPLY=(); return ;;
        'models show:--jobs'|'models show:-j') COMPREPLY=(); return ;;
        'models show:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'models show:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'models advise:--use') COMPREPLY=($(compgen -W 'light comprehension long-context assistant laptop reasoning minority-languages adaptation serving tests' -- "$word")); return ;;
        'models advise:--memory') COMPREPLY=(); return ;;
        'models advise:--context') COMPREPLY=(); return ;;
        'models advise:--config'|'models advise:-c') _norcli_files '@(*.toml)'; return ;;
        'models advise:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'models advise:--seed') COMPREPLY=(); return ;;
        'models advise:--jobs'|'models advise:-j') COMPREPLY=(); return ;;
        'models advise:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'models advise:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'pretrain:--eval-shards') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'pretrain:--held-out') COMPREPLY=(); return ;;
        'pretrain:--output'|'pretrain:-o') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'pretrain:--log') _norcli_files '@(*.jsonl)'; return ;;
        'pretrain:--tokenizer') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'pretrain:--preset') COMPREPLY=($(compgen -W 'norgpt-369m norgpt-3b norgpt-23b norllama-3b norwai-mistral-7b-pretrain norwai-mistral-7b norwai-llama2-7b norwai-mixtral-8x7b norwai-magistral-24b norwai-mistral-7b-instruct norwai-mixtral-8x7b-instruct norgpt-nano norllama-nano norllama-micro' -- "$word")); return ;;
        'pretrain:--base-model') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'pretrain:--set') COMPREPLY=(); return ;;
        'pretrain:--max-steps') COMPREPLY=(); return ;;
        'pretrain:--epochs') COMPREPLY=(); return ;;
        'pretrain:--max-tokens') COMPREPLY=(); return ;;
        'pretrain:--seq-len') COMPREPLY=(); return ;;
        'pretrain:--micro-batch-size') COMPREPLY=(); return ;;
        'pretrain:--global-batch-size') COMPREPLY=(); return ;;
        'pretrain:--lr') COMPREPLY=(); return ;;
        'pretrain:--min-lr') COMPREPLY=(); return ;;
        'pretrain:--schedule') COMPREPLY=($(compgen -W 'cosine wsd constant' -- "$word")); return ;;
        'pretrain:--warmup-steps') COMPREPLY=(); return ;;
        'pretrain:--decay-fraction') COMPREPLY=(); return ;;
        'pretrain:--optimizer') COMPREPLY=($(compgen -W 'adamw' -- "$word")); return ;;
        'pretrain:--weight-decay') COMPREPLY=(); return ;;
        'pretrain:--grad-clip') COMPREPLY=(); return ;;
        'pretrain:--beta1') COMPREPLY=(); return ;;
        'pretrain:--beta2') COMPREPLY=(); return ;;
        'pretrain:--precision') COMPREPLY=($(compgen -W 'auto fp32 bf16' -- "$word")); return ;;
        'pretrain:--attention') COMPREPLY=($(compgen -W 'auto sdpa flash eager' -- "$word")); return ;;
        'pretrain:--distributed') COMPREPLY=($(compgen -W 'auto none ddp fsdp2 deepspeed' -- "$word")); return ;;
        'pretrain:--save-every') COMPREPLY=(); return ;;
        'pretrain:--keep-checkpoints') COMPREPLY=(); return ;;
        'pretrain:--eval-every') COMPREPLY=(); return ;;
        'pretrain:--log-every') COMPREPLY=(); return ;;
        'pretrain:--config'|'pretrain:-c') _norcli_files '@(*.toml)'; return ;;
        'pretrain:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'pretrain:--seed') COMPREPLY=(); return ;;
        'pretrain:--jobs'|'pretrain:-j') COMPREPLY=(); return ;;
        'pretrain:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'pretrain:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'sft:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'sft:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'sft:--text-key') COMPREPLY=(); return ;;
        'sft:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'sft:--max-bad') COMPREPLY=(); return ;;
        'sft:--limit') COMPREPLY=(); return ;;
        'sft:--shard') COMPREPLY=(); return ;;
        'sft:--eval-data') _norcli_files '@(*.jsonl|*.parquet)'; return ;;
        'sft:--held-out') COMPREPLY=(); return ;;
        'sft:--too-long') COMPREPLY=($(compgen -W 'stop skip truncate' -- "$word")); return ;;
        'sft:--output'|'sft:-o') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'sft:--log') _norcli_files '@(*.jsonl)'; return ;;
        'sft:--model') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'sft:--template') COMPREPLY=($(compgen -W 'norwai norwai-en' -- "$word")); return ;;
        'sft:--max-steps') COMPREPLY=(); return ;;
        'sft:--epochs') COMPREPLY=(); return ;;
        'sft:--seq-len') COMPREPLY=(); return ;;
        'sft:--micro-batch-size') COMPREPLY=(); return ;;
        'sft:--global-batch-size') COMPREPLY=(); return ;;
        'sft:--lr') COMPREPLY=(); return ;;
        'sft:--min-lr') COMPREPLY=(); return ;;
        'sft:--schedule') COMPREPLY=($(compgen -W 'cosine wsd constant' -- "$word")); return ;;
        'sft:--warmup-steps') COMPREPLY=(); return ;;
        'sft:--decay-fraction') COMPREPLY=(); return ;;
        'sft:--optimizer') COMPREPLY=($(compgen -W 'adamw' -- "$word")); return ;;
        'sft:--weight-decay') COMPREPLY=(); return ;;
        'sft:--grad-clip') COMPREPLY=(); return ;;
        'sft:--beta1') COMPREPLY=(); return ;;
        'sft:--beta2') COMPREPLY=(); return ;;
        'sft:--precision') COMPREPLY=($(compgen -W 'auto fp32 bf16' -- "$word")); return ;;
        'sft:--attention') COMPREPLY=($(compgen -W 'auto sdpa flash eager' -- "$word")); return ;;
        'sft:--distributed') COMPREPLY=($(compgen -W 'auto none ddp fsdp2 deepspeed' -- "$word")); return ;;
        'sft:--save-every') COMPREPLY=(); return ;;
        'sft:--keep-checkpoints') COMPREPLY=(); return ;;
        'sft:--eval-every') COMPREPLY=(); return ;;
        'sft:--log-every') COMPREPLY=(); return ;;
        'sft:--rank') COMPREPLY=(); return ;;
        'sft:--alpha') COMPREPLY=(); return ;;
        'sft:--dropout') COMPREPLY=(); return ;;
        'sft:--target-modules') COMPREPLY=(); return ;;
        'sft:--config'|'sft:-c') _norcli_files '@(*.toml)'; return ;;
        'sft:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'sft:--seed') COMPREPLY=(); return ;;
        'sft:--jobs'|'sft:-j') COMPREPLY=(); return ;;
        'sft:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'sft:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'rlhf:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'rlhf:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'rlhf:--text-key') COMPREPLY=(); return ;;
        'rlhf:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'rlhf:--max-bad') COMPREPLY=(); return ;;
        'rlhf:--limit') COMPREPLY=(); return ;;
        'rlhf:--shard') COMPREPLY=(); return ;;
        'rlhf:--output'|'rlhf:-o') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'rlhf:--instruction') COMPREPLY=(); return ;;
        'rlhf:--too-long') COMPREPLY=($(compgen -W 'stop skip truncate' -- "$word")); return ;;
        'rlhf:--temperature') COMPREPLY=(); return ;;
        'rlhf:--max-new-tokens') COMPREPLY=(); return ;;
        'rlhf:--batch-size') COMPREPLY=(); return ;;
        'rlhf:--candidates') COMPREPLY=(); return ;;
        'rlhf:--top-p') COMPREPLY=(); return ;;
        'rlhf:--pooling') COMPREPLY=($(compgen -W 'mean cls' -- "$word")); return ;;
        'rlhf:--encoder-tokens') COMPREPLY=(); return ;;
        'rlhf:--rouge-weight') COMPREPLY=(); return ;;
        'rlhf:--length-penalty') COMPREPLY=(); return ;;
        'rlhf:--encoder') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'rlhf:--reward-epochs') COMPREPLY=(); return ;;
        'rlhf:--reward-lr') COMPREPLY=(); return ;;
        'rlhf:--reward-batch') COMPREPLY=(); return ;;
        'rlhf:--objective') COMPREPLY=($(compgen -W 'pairwise regression' -- "$word")); return ;;
        'rlhf:--steps') COMPREPLY=(); return ;;
        'rlhf:--rollouts') COMPREPLY=(); return ;;
        'rlhf:--minibatch') COMPREPLY=(); return ;;
        'rlhf:--ppo-epochs') COMPREPLY=(); return ;;
        'rlhf:--lr') COMPREPLY=(); return ;;
        'rlhf:--kl-coef') COMPREPLY=(); return ;;
        'rlhf:--target-kl') COMPREPLY=(); return ;;
        'rlhf:--max-kl') COMPREPLY=(); return ;;
        'rlhf:--clip-range') COMPREPLY=(); return ;;
        'rlhf:--value-clip') COMPREPLY=(); return ;;
        'rlhf:--reward-clip') COMPREPLY=(); return ;;
        'rlhf:--gamma') COMPREPLY=(); return ;;
        'rlhf:--gae-lambda') COMPREPLY=(); return ;;
        'rlhf:--save-every') COMPREPLY=(); return ;;
        'rlhf:--config'|'rlhf:-c') _norcli_files '@(*.toml)'; return ;;
        'rlhf:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'rlhf:--seed') COMPREPLY=(); return ;;
        'rlhf:--jobs'|'rlhf:-j') COMPREPLY=(); return ;;
        'rlhf:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'rlhf:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'rlhf sample:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'rlhf sample:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'rlhf sample:--text-key') COMPREPLY=(); return ;;
        'rlhf sample:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'rlhf sample:--max-bad') COMPREPLY=(); return ;;
        'rlhf sample:--limit') COMPREPLY=(); return ;;
        'rlhf sample:--shard') COMPREPLY=(); return ;;
        'rlhf sample:--output'|'rlhf sample:-o') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'rlhf sample:--output-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'rlhf sample:--instruction') COMPREPLY=(); return ;;
        'rlhf sample:--too-long') COMPREPLY=($(compgen -W 'stop skip truncate' -- "$word")); return ;;
        'rlhf sample:--temperature') COMPREPLY=(); return ;;
        'rlhf sample:--max-new-tokens') COMPREPLY=(); return ;;
        'rlhf sample:--batch-size') COMPREPLY=(); return ;;
        'rlhf sample:--candidates') COMPREPLY=(); return ;;
        'rlhf sample:--top-p') COMPREPLY=(); return ;;
        'rlhf sample:--config'|'rlhf sample:-c') _norcli_files '@(*.toml)'; return ;;
        'rlhf sample:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'rlhf sample:--seed') COMPREPLY=(); return ;;
        'rlhf sample:--jobs'|'rlhf sample:-j') COMPREPLY=(); return ;;
        'rlhf sample:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'rlhf sample:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'rlhf score:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'rlhf score:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'rlhf score:--text-key') COMPREPLY=(); return ;;
        'rlhf score:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'rlhf score:--max-bad') COMPREPLY=(); return ;;
        'rlhf score:--limit') COMPREPLY=(); return ;;
        'rlhf score:--shard') COMPREPLY=(); return ;;
        'rlhf score:--output'|'rlhf score:-o') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'rlhf score:--output-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'rlhf score:--pooling') COMPREPLY=($(compgen -W 'mean cls' -- "$word")); return ;;
        'rlhf score:--encoder-tokens') COMPREPLY=(); return ;;
        'rlhf score:--rouge-weight') COMPREPLY=(); return ;;
        'rlhf score:--length-penalty') COMPREPLY=(); return ;;
        'rlhf score:--encoder') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'rlhf score:--config'|'rlhf score:-c') _norcli_files '@(*.toml)'; return ;;
        'rlhf score:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'rlhf score:--seed') COMPREPLY=(); return ;;
        'rlhf score:--jobs'|'rlhf score:-j') COMPREPLY=(); return ;;
        'rlhf score:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'rlhf score:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'rlhf reward-model:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'rlhf reward-model:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'rlhf reward-model:--text-key') COMPREPLY=(); return ;;
        'rlhf reward-model:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'rlhf reward-model:--max-bad') COMPREPLY=(); return ;;
        'rlhf reward-model:--limit') COMPREPLY=(); return ;;
        'rlhf reward-model:--shard') COMPREPLY=(); return ;;
        'rlhf reward-model:--output'|'rlhf reward-model:-o') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'rlhf reward-model:--reward-epochs') COMPREPLY=(); return ;;
        'rlhf reward-model:--reward-lr') COMPREPLY=(); return ;;
        'rlhf reward-model:--reward-batch') COMPREPLY=(); return ;;
        'rlhf reward-model:--objective') COMPREPLY=($(compgen -W 'pairwise regression' -- "$word")); return ;;
        'rlhf reward-model:--config'|'rlhf reward-model:-c') _norcli_files '@(*.toml)'; return ;;
        'rlhf reward-model:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'rlhf reward-model:--seed') COMPREPLY=(); return ;;
        'rlhf reward-model:--jobs'|'rlhf reward-model:-j') COMPREPLY=(); return ;;
        'rlhf reward-model:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'rlhf reward-model:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'rlhf ppo:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'rlhf ppo:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'rlhf ppo:--text-key') COMPREPLY=(); return ;;
        'rlhf ppo:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'rlhf ppo:--max-bad') COMPREPLY=(); return ;;
        'rlhf ppo:--limit') COMPREPLY=(); return ;;
        'rlhf ppo:--shard') COMPREPLY=(); return ;;
        'rlhf ppo:--output'|'rlhf ppo:-o') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'rlhf ppo:--instruction') COMPREPLY=(); return ;;
        'rlhf ppo:--too-long') COMPREPLY=($(compgen -W 'stop skip truncate' -- "$word")); return ;;
        'rlhf ppo:--temperature') COMPREPLY=(); return ;;
        'rlhf ppo:--max-new-tokens') COMPREPLY=(); return ;;
        'rlhf ppo:--batch-size') COMPREPLY=(); return ;;
        'rlhf ppo:--pooling') COMPREPLY=($(compgen -W 'mean cls' -- "$word")); return ;;
        'rlhf ppo:--encoder-tokens') COMPREPLY=(); return ;;
        'rlhf ppo:--rouge-weight') COMPREPLY=(); return ;;
        'rlhf ppo:--length-penalty') COMPREPLY=(); return ;;
        'rlhf ppo:--encoder') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'rlhf ppo:--steps') COMPREPLY=(); return ;;
        'rlhf ppo:--rollouts') COMPREPLY=(); return ;;
        'rlhf ppo:--minibatch') COMPREPLY=(); return ;;
        'rlhf ppo:--ppo-epochs') COMPREPLY=(); return ;;
        'rlhf ppo:--lr') COMPREPLY=(); return ;;
        'rlhf ppo:--kl-coef') COMPREPLY=(); return ;;
        'rlhf ppo:--target-kl') COMPREPLY=(); return ;;
        'rlhf ppo:--max-kl') COMPREPLY=(); return ;;
        'rlhf ppo:--clip-range') COMPREPLY=(); return ;;
        'rlhf ppo:--value-clip') COMPREPLY=(); return ;;
        'rlhf ppo:--reward-clip') COMPREPLY=(); return ;;
        'rlhf ppo:--gamma') COMPREPLY=(); return ;;
        'rlhf ppo:--gae-lambda') COMPREPLY=(); return ;;
        'rlhf ppo:--save-every') COMPREPLY=(); return ;;
        'rlhf ppo:--reward-model') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'rlhf ppo:--config'|'rlhf ppo:-c') _norcli_files '@(*.toml)'; return ;;
        'rlhf ppo:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'rlhf ppo:--seed') COMPREPLY=(); return ;;
        'rlhf ppo:--jobs'|'rlhf ppo:-j') COMPREPLY=(); return ;;
        'rlhf ppo:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'rlhf ppo:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'quantize:--adapter') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'quantize:--base-model') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'quantize:--output'|'quantize:-o') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'quantize:--type') COMPREPLY=($(compgen -W 'F32 BF16 F16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 Q3_K_L Q3_K_M Q3_K_S' -- "$word")); return ;;
        'quantize:--chat-template') COMPREPLY=($(compgen -W 'norwai norwai-en mistral magistral' -- "$word")); return ;;
        'quantize:--name') COMPREPLY=(); return ;;
        'quantize:--device') COMPREPLY=($(compgen -W 'cpu cuda' -- "$word")); return ;;
        'quantize:--imatrix') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'quantize:--save-imatrix') _norcli_files '@(*.gguf)'; return ;;
        'quantize:--imatrix-chunk') COMPREPLY=(); return ;;
        'quantize:--imatrix-tokens') COMPREPLY=(); return ;;
        'quantize:--report-text') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'quantize:--report-chunk') COMPREPLY=(); return ;;
        'quantize:--report-tokens') COMPREPLY=(); return ;;
        'quantize:--context') COMPREPLY=(); return ;;
        'quantize:--config'|'quantize:-c') _norcli_files '@(*.toml)'; return ;;
        'quantize:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'quantize:--seed') COMPREPLY=(); return ;;
        'quantize:--jobs'|'quantize:-j') COMPREPLY=(); return ;;
        'quantize:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'quantize:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'quantize inspect:--config'|'quantize inspect:-c') _norcli_files '@(*.toml)'; return ;;
        'quantize inspect:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'quantize inspect:--seed') COMPREPLY=(); return ;;
        'quantize inspect:--jobs'|'quantize inspect:-j') COMPREPLY=(); return ;;
        'quantize inspect:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'quantize inspect:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'eval:--data') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'eval:--tasks') COMPREPLY=(); return ;;
        'eval:--limit') COMPREPLY=(); return ;;
        'eval:--output'|'eval:-o') _norcli_files '@(*.json)'; return ;;
        'eval:--format') COMPREPLY=($(compgen -W 'text markdown' -- "$word")); return ;;
        'eval:--predictions') _norcli_files '@(*.jsonl)'; return ;;
        'eval:--compat') COMPREPLY=($(compgen -W 'none nlebench lm-eval' -- "$word")); return ;;
        'eval:--resamples') COMPREPLY=(); return ;;
        'eval:--engine') COMPREPLY=($(compgen -W 'auto hf gguf' -- "$word")); return ;;
        'eval:--device') COMPREPLY=(); return ;;
        'eval:--dtype') COMPREPLY=($(compgen -W 'auto float32 bfloat16 float16' -- "$word")); return ;;
        'eval:--batch-tokens') COMPREPLY=(); return ;;
        'eval:--context') COMPREPLY=(); return ;;
        'eval:--template') COMPREPLY=($(compgen -W 'auto none norwai norwai-en' -- "$word")); return ;;
        'eval:--few-shot') COMPREPLY=(); return ;;
        'eval:--max-new-tokens') COMPREPLY=(); return ;;
        'eval:--config'|'eval:-c') _norcli_files '@(*.toml)'; return ;;
        'eval:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'eval:--seed') COMPREPLY=(); return ;;
        'eval:--jobs'|'eval:-j') COMPREPLY=(); return ;;
        'eval:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'eval:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'eval score:--files-from') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'eval score:--input-format') COMPREPLY=($(compgen -W 'auto jsonl parquet text' -- "$word")); return ;;
        'eval score:--text-key') COMPREPLY=(); return ;;
        'eval score:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'eval score:--max-bad') COMPREPLY=(); return ;;
        'eval score:--limit') COMPREPLY=(); return ;;
        'eval score:--shard') COMPREPLY=(); return ;;
        'eval score:--prediction-key') COMPREPLY=(); return ;;
        'eval score:--reference-key') COMPREPLY=(); return ;;
        'eval score:--output'|'eval score:-o') _norcli_files '@(*.json)'; return ;;
        'eval score:--format') COMPREPLY=($(compgen -W 'text markdown' -- "$word")); return ;;
        'eval score:--compat') COMPREPLY=($(compgen -W 'none nlebench lm-eval' -- "$word")); return ;;
        'eval score:--resamples') COMPREPLY=(); return ;;
        'eval score:--metrics') COMPREPLY=(); return ;;
        'eval score:--config'|'eval score:-c') _norcli_files '@(*.toml)'; return ;;
        'eval score:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'eval score:--seed') COMPREPLY=(); return ;;
        'eval score:--jobs'|'eval score:-j') COMPREPLY=(); return ;;
        'eval score:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'eval score:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'eval tasks:--config'|'eval tasks:-c') _norcli_files '@(*.toml)'; return ;;
        'eval tasks:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'eval tasks:--seed') COMPREPLY=(); return ;;
        'eval tasks:--jobs'|'eval tasks:-j') COMPREPLY=(); return ;;
        'eval tasks:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'eval tasks:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'chat:--on-bad-record') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
        'chat:--batch-size') COMPREPLY=(); return ;;
        'chat:--limit') COMPREPLY=(); return ;;
        'chat:--output'|'chat:-o') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'chat:--prompt') COMPREPLY=(); return ;;
        'chat:--input-text') COMPREPLY=(); return ;;
        'chat:--system') COMPREPLY=(); return ;;
        'chat:--template') COMPREPLY=($(compgen -W 'auto norwai norwai-en model none' -- "$word")); return ;;
        'chat:--mode') COMPREPLY=($(compgen -W 'answer completion short long' -- "$word")); return ;;
        'chat:--think-tokens') COMPREPLY=(); return ;;
        'chat:--temperature') COMPREPLY=(); return ;;
        'chat:--top-k') COMPREPLY=(); return ;;
        'chat:--top-p') COMPREPLY=(); return ;;
        'chat:--min-p') COMPREPLY=(); return ;;
        'chat:--repeat-penalty') COMPREPLY=(); return ;;
        'chat:--max-new-tokens') COMPREPLY=(); return ;;
        'chat:--stop') COMPREPLY=(); return ;;
        'chat:--engine') COMPREPLY=($(compgen -W 'auto gguf hf url' -- "$word")); return ;;
        'chat:--adapter') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'chat:--model-name') COMPREPLY=(); return ;;
        'chat:--api-key-file') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'chat:--timeout') COMPREPLY=(); return ;;
        'chat:--context') COMPREPLY=(); return ;;
        'chat:--load') _norcli_files '@(*.jsonl)'; return ;;
        'chat:--theme') COMPREPLY=($(compgen -W 'terminal dark light mono' -- "$word")); return ;;
        'chat:--config'|'chat:-c') _norcli_files '@(*.toml)'; return ;;
        'chat:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'chat:--seed') COMPREPLY=(); return ;;
        'chat:--jobs'|'chat:-j') COMPREPLY=(); return ;;
        'chat:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'chat:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'serve:--host') COMPREPLY=(); return ;;
        'serve:--port') COMPREPLY=(); return ;;
        'serve:--api-key-file') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'serve:--cors-origin') COMPREPLY=(); return ;;
        'serve:--alias') COMPREPLY=(); return ;;
        'serve:--template') COMPREPLY=($(compgen -W 'auto norwai norwai-en' -- "$word")); return ;;
        'serve:--adapter') _norcli_files '@(*.gguf)'; return ;;
        'serve:--context') COMPREPLY=(); return ;;
        'serve:--parallel') COMPREPLY=(); return ;;
        'serve:--config'|'serve:-c') _norcli_files '@(*.toml)'; return ;;
        'serve:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'serve:--seed') COMPREPLY=(); return ;;
        'serve:--jobs'|'serve:-j') COMPREPLY=(); return ;;
        'serve:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'serve:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'export:--output'|'export:-o') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'export:--for') COMPREPLY=($(compgen -W 'ollama vllm lmstudio' -- "$word")); return ;;
        'export:--name') COMPREPLY=(); return ;;
        'export:--template') COMPREPLY=($(compgen -W 'auto norwai norwai-en mistral magistral' -- "$word")); return ;;
        'export:--system') COMPREPLY=(); return ;;
        'export:--temperature') COMPREPLY=(); return ;;
        'export:--context') COMPREPLY=(); return ;;
        'export:--gpu') COMPREPLY=($(compgen -W 'l4 a10 l40s a100-40gb a100 h100 h200' -- "$word")); return ;;
        'export:--port') COMPREPLY=(); return ;;
        'export:--config'|'export:-c') _norcli_files '@(*.toml)'; return ;;
        'export:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'export:--seed') COMPREPLY=(); return ;;
        'export:--jobs'|'export:-j') COMPREPLY=(); return ;;
        'export:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'export:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'launch:--cluster') _norcli_files '@(*.toml)'; return ;;
        'launch:--output'|'launch:-o') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'launch:--nodes') COMPREPLY=(); return ;;
        'launch:--gpus') COMPREPLY=(); return ;;
        'launch:--cpus') COMPREPLY=(); return ;;
        'launch:--mem') COMPREPLY=(); return ;;
        'launch:--time') COMPREPLY=(); return ;;
        'launch:--array') COMPREPLY=(); return ;;
        'launch:--account') COMPREPLY=(); return ;;
        'launch:--partition') COMPREPLY=(); return ;;
        'launch:--qos') COMPREPLY=(); return ;;
        'launch:--constraint') COMPREPLY=(); return ;;
        'launch:--job-name') COMPREPLY=(); return ;;
        'launch:--venv') COMPREPLY=($(compgen -d -- "$word")); return ;;
        'launch:--signal-seconds') COMPREPLY=(); return ;;
        'launch:--config'|'launch:-c') _norcli_files '@(*.toml)'; return ;;
        'launch:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'launch:--seed') COMPREPLY=(); return ;;
        'launch:--jobs'|'launch:-j') COMPREPLY=(); return ;;
        'launch:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'launch:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'launch task:--config'|'launch task:-c') _norcli_files '@(*.toml)'; return ;;
        'launch task:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'launch task:--seed') COMPREPLY=(); return ;;
        'launch task:--jobs'|'launch task:-j') COMPREPLY=(); return ;;
        'launch task:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'launch task:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'doctor:--require') COMPREPLY=(); return ;;
        'doctor:--config'|'doctor:-c') _norcli_files '@(*.toml)'; return ;;
        'doctor:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'doctor:--seed') COMPREPLY=(); return ;;
        'doctor:--jobs'|'doctor:-j') COMPREPLY=(); return ;;
        'doctor:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'doctor:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'warmup:--config'|'warmup:-c') _norcli_files '@(*.toml)'; return ;;
        'warmup:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'warmup:--seed') COMPREPLY=(); return ;;
        'warmup:--jobs'|'warmup:-j') COMPREPLY=(); return ;;
        'warmup:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'warmup:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
        'help:--config'|'help:-c') _norcli_files '@(*.toml)'; return ;;
        'help:--stats') COMPREPLY=($(compgen -f -- "$word")); return ;;
        'help:--seed') COMPREPLY=(); return ;;
        'help:--jobs'|'help:-j') COMPREPLY=(); return ;;
        'help:--color') COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        'help:--log-format') COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
    esac
    case "$command" in
        'crawl-filter')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --layout --max-record-mib --remove --on-damaged-file --output -o --overwrite --output-format --rejects --resume --executor --tasks --work-dir --cluster-file --languages --min-lang-score --lid-model --mixed --rules --disable --from-annotations --blocklist --toxic-words --quality-model --annotate --pii --pii-kinds --sentences --source --source-group --license --copyrighted --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -f -- "$word"))
                ((COMP_CWORD == 2)) && COMPREPLY+=($(compgen -W 'sample' -- "$word"))
            fi ;;
        'crawl-filter sample')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --layout --max-record-mib --remove --on-damaged-file --languages --min-lang-score --lid-model --mixed --rules --disable --from-annotations --blocklist --toxic-words --quality-model --pii --pii-kinds --sentences --source --source-group --license --copyrighted --reason --characters --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -f -- "$word"))
            fi ;;
        'dedup')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --output -o --overwrite --output-format --resume --executor --tasks --work-dir --cluster-file --min-chars --span-words --min-words --method --threshold --url-key --ngram --num-perm --bands --rows --scope --keep --cluster --online --mark --rejects --clusters --sweep --decontaminate --decontaminate-ngram --decontaminate-hits --against --save-index --memory --spool-gib --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -f -- "$word"))
                ((COMP_CWORD == 2)) && COMPREPLY+=($(compgen -W 'explain' -- "$word"))
            fi ;;
        'dedup explain')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --method --threshold --url-key --ngram --num-perm --bands --rows --scope --keep --cluster --context --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=()
            fi ;;
        'stats')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --output -o --overwrite --format --plots --plot-format --title --runs --rejects --beside-report --tokenizer --sentences --corpus --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -f -- "$word"))
                ((COMP_CWORD == 2)) && COMPREPLY+=($(compgen -W 'merge' -- "$word"))
            fi ;;
        'stats merge')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--output -o --overwrite --format --plots --plot-format --title --runs --rejects --beside-report --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                _norcli_files '@(*.json)'
            fi ;;
        'mix')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --output -o --overwrite --output-format --order --recipe --by --shares --weights --epochs --unit --total --max-epochs --tokenizer --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -f -- "$word"))
            fi ;;
        'tokenize-train')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --output -o --overwrite --vocab-size --character-coverage --required-chars --pad --sample-bytes --mix --temperature --language-key --measure-on --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -f -- "$word"))
            fi ;;
        'tokenize')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --output -o --overwrite --tokenizer --bos --shard-tokens --language-key --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -f -- "$word"))
            fi ;;
        'models')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=()
                ((COMP_CWORD == 2)) && COMPREPLY+=($(compgen -W 'show advise' -- "$word"))
            fi ;;
        'models show')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--context --vocab-size --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -W 'norgpt-369m norgpt-3b norgpt-23b norllama-3b norwai-mistral-7b-pretrain norwai-mistral-7b norwai-llama2-7b norwai-mixtral-8x7b norwai-magistral-24b norwai-mistral-7b-instruct norwai-mixtral-8x7b-instruct norgpt-nano norllama-nano norllama-micro' -- "$word"))
            fi ;;
        'models advise')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--use --memory --context --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=()
            fi ;;
        'pretrain')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--eval-shards --held-out --output -o --overwrite --log --tokenizer --preset --base-model --set --max-steps --epochs --max-tokens --seq-len --micro-batch-size --global-batch-size --lr --min-lr --schedule --warmup-steps --decay-fraction --optimizer --weight-decay --grad-clip --beta1 --beta2 --document-mask --precision --attention --compile --recompute --distributed --save-every --keep-checkpoints --eval-every --log-every --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -d -- "$word"))
            fi ;;
        'sft')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --eval-data --held-out --too-long --output -o --overwrite --log --model --template --max-steps --epochs --seq-len --micro-batch-size --global-batch-size --lr --min-lr --schedule --warmup-steps --decay-fraction --optimizer --weight-decay --grad-clip --beta1 --beta2 --loss-on-prompt --no-packing --precision --attention --compile --recompute --distributed --save-every --keep-checkpoints --eval-every --log-every --lora --rank --alpha --dropout --target-modules --merge --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -f -- "$word"))
            fi ;;
        'rlhf')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --output -o --overwrite --instruction --too-long --temperature --max-new-tokens --batch-size --candidates --top-p --pooling --encoder-tokens --trust-remote-code --rouge-weight --length-penalty --encoder --reward-epochs --reward-lr --reward-batch --objective --steps --rollouts --minibatch --ppo-epochs --lr --kl-coef --target-kl --max-kl --clip-range --value-clip --reward-clip --gamma --gae-lambda --save-every --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -d -- "$word"))
                ((COMP_CWORD == 2)) && COMPREPLY+=($(compgen -W 'sample score reward-model ppo' -- "$word"))
            fi ;;
        'rlhf sample')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --output -o --overwrite --output-format --instruction --too-long --temperature --max-new-tokens --batch-size --candidates --top-p --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -d -- "$word"))
            fi ;;
        'rlhf score')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --output -o --overwrite --output-format --pooling --encoder-tokens --trust-remote-code --rouge-weight --length-penalty --encoder --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -f -- "$word"))
            fi ;;
        'rlhf reward-model')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --output -o --overwrite --reward-epochs --reward-lr --reward-batch --objective --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -d -- "$word"))
            fi ;;
        'rlhf ppo')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --output -o --overwrite --instruction --too-long --temperature --max-new-tokens --batch-size --pooling --encoder-tokens --trust-remote-code --rouge-weight --length-penalty --encoder --steps --rollouts --minibatch --ppo-epochs --lr --kl-coef --target-kl --max-kl --clip-range --value-clip --reward-clip --gamma --gae-lambda --save-every --reward-model --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -d -- "$word"))
            fi ;;
        'quantize')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--adapter --base-model --output -o --overwrite --type --info --chat-template --to-safetensors --name --device --allow-tokenizer-mismatch --imatrix --save-imatrix --imatrix-chunk --imatrix-tokens --report --report-text --report-chunk --report-tokens --context --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                _norcli_files '@(*.gguf)'
                ((COMP_CWORD == 2)) && COMPREPLY+=($(compgen -W 'inspect' -- "$word"))
            fi ;;
        'quantize inspect')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                _norcli_files '@(*.gguf)'
            fi ;;
        'eval')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--data --tasks --limit --output -o --overwrite --format --predictions --compat --resamples --engine --device --dtype --batch-tokens --context --template --few-shot --max-new-tokens --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -d -- "$word"))
                ((COMP_CWORD == 2)) && COMPREPLY+=($(compgen -W 'score tasks' -- "$word"))
            fi ;;
        'eval score')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--files-from --input-format --text-key --on-bad-record --max-bad --limit --shard --prediction-key --reference-key --output -o --overwrite --format --compat --resamples --metrics --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -f -- "$word"))
            fi ;;
        'eval tasks')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=()
            fi ;;
        'chat')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--jsonl --on-bad-record --batch-size --resume --limit --output -o --overwrite --prompt --input-text --system --template --mode --think-tokens --temperature --top-k --top-p --min-p --repeat-penalty --max-new-tokens --stop --engine --adapter --model-name --api-key-file --timeout --context --no-save --load --theme --no-markdown --speed --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                _norcli_files '@(*.gguf)'
            fi ;;
        'serve')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--host --port --api-key-file --no-key --cors-origin --alias --template --adapter --context --parallel --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                _norcli_files '@(*.gguf)'
            fi ;;
        'export')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--output -o --overwrite --for --name --template --system --temperature --context --gpu --port --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                _norcli_files '@(*.gguf)'
            fi ;;
        'launch')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--cluster --output -o --overwrite --submit --nodes --gpus --cpus --mem --time --array --account --partition --qos --constraint --job-name --venv --no-requeue --signal-seconds --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=()
                ((COMP_CWORD == 2)) && COMPREPLY+=($(compgen -W 'task' -- "$word"))
            fi ;;
        'launch task')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=($(compgen -d -- "$word"))
            fi ;;
        'doctor')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--require --config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=()
            fi ;;
        'warmup')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=()
            fi ;;
        'help')
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W '--config -c --print-config --dry-run -n --json --stats --seed --jobs -j --quiet -q --verbose -v --no-progress --color --log-format --debug --help' -- "$word"))
            else
                COMPREPLY=()
            fi ;;
    esac
}
complete -o filenames -F _norcli norcli
