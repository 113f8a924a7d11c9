"""Static completions for bash, zsh and fish, made from the options dataclasses.

Static, because starting Python at each TAB takes seconds on a busy shared file system.
"""

from __future__ import annotations

from norcli.cli.help import option_text
from norcli.cli.registry import REGISTRY, load, subcommands, top_level
from norcli.model.presets import preset_names
from norcli.options import OptionField, option_fields


def words_of(field: OptionField) -> list[str]:
    """Return the words that an option's value may be completed to."""
    if field.info.choices:
        return list(field.info.choices)
    if field.info.complete == "preset":
        return list(preset_names())
    return []


def flags_of(field: OptionField) -> list[str]:
    """Return the flags of an option, the short one last."""
    flag = field.flag
    if field.kind is bool and field.default is True:
        flag = f"--no-{field.flag[2:]}"
    return [flag] + ([f"-{field.info.short}"] if field.info.short else [])


def takes_value(field: OptionField) -> bool:
    """Whether a word follows the flag."""
    return field.kind is not bool and field.name != "verbose"


def _suffixes(field: OptionField) -> list[str]:
    complete = field.info.complete or ""
    return complete[5:].split(",") if complete.startswith("file:") else []


def _flag_fields(name: str) -> list[OptionField]:
    return [field for field in option_fields(load(name).options) if not field.info.positional]


def _argument(name: str) -> OptionField | None:
    fields = [field for field in option_fields(load(name).options) if field.info.positional]
    return fields[0] if fields else None


def _bash_values(field: OptionField) -> str:
    if words := words_of(field):
        return f"COMPREPLY=($(compgen -W '{' '.join(words)}' -- \"$word\"))"
    if field.info.complete == "dir":
        return 'COMPREPLY=($(compgen -d -- "$word"))'
    if suffixes := _suffixes(field):
        pattern = "|".join(f"*{suffix}" for suffix in suffixes)
        return f"_norcli_files '@({pattern})'"
    if field.info.complete == "file":
        return 'COMPREPLY=($(compgen -f -- "$word"))'
    return "COMPREPLY=()"


def bash_completion() -> str:
    """Return completions/norcli.bash."""
    commands = " ".join(top_level())
    lines = [
        "# bash completion of norcli; made by tools/gen_docs.py",
        "# shellcheck shell=bash disable=SC2207",
        "_norcli_files() {",
        "    local file",
        "    COMPREPLY=()",
        "    while IFS= read -r file; do",
        "        # shellcheck disable=SC2053",
        '        if [[ -d $file || $file == $1 ]]; then COMPREPLY+=("$file"); fi',
        '    done < <(compgen -f -- "$word")',
        "}",
        "_norcli() {",
        "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}",
        "    local command=${COMP_WORDS[1]:-}",
        "    shopt -q extglob || shopt -s extglob",
        "    COMPREPLY=()",
        "    if ((COMP_CWORD == 1)); then",
        f"        COMPREPLY=($(compgen -W '{commands} --help --version' -- \"$word\"))",
        "        return",
        "    fi",
        '    case "$command ${COMP_WORDS[2]:-}" in',
    ]
    nested = [name for name in REGISTRY if " " in name]
    lines += [f"        '{name}') ((COMP_CWORD > 2)) && command='{name}' ;;" for name in nested]
    lines += ["    esac", '    case "$command:$previous" in']
    for name in REGISTRY:
        for field in _flag_fields(name):
            if takes_value(field):
                patterns = "|".join(f"'{name}:{flag}'" for flag in flags_of(field))
                lines.append(f"        {patterns}) {_bash_values(field)}; return ;;")
    lines += ["    esac", '    case "$command" in']
    for name in REGISTRY:
        flags = " ".join(flag for field in _flag_fields(name) for flag in flags_of(field))
        argument = _argument(name)
        values = _bash_values(argument) if argument else "COMPREPLY=()"
        subs = " ".join(subcommands(name))
        lines.append(f"        '{name}')")
        lines.append("            if [[ $word == -* ]]; then")
        lines.append(f"                COMPREPLY=($(compgen -W '{flags} --help' -- \"$word\"))")
        lines.append("            else")
        lines.append(f"                {values}")
        if subs:
            offer = f"COMPREPLY+=($(compgen -W '{subs}' -- \"$word\"))"
            lines.append(f"                ((COMP_CWORD == 2)) && {offer}")
        lines += ["            fi ;;"]
    lines += ["    esac", "}", "complete -o filenames -F _norcli norcli"]
    return "\n".join(lines) + "\n"


def _zsh_quote(text: str) -> str:
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def _zsh_action(field: OptionField) -> str:
    if words := words_of(field):
        return f"({' '.join(words)})"
    if field.info.complete == "dir":
        return "_files -/"
    if suffixes := _suffixes(field):
        return '_files -g "' + " ".join(f"*{suffix}" for suffix in suffixes) + '"'
    return "_files" if field.info.complete == "file" else " "


def _zsh_specs(name: str) -> list[str]:
    specs = []
    for field in _flag_fields(name):
        text = _zsh_quote(option_text(field))
        value = f":{_zsh_quote(field.metavar.lower())}:{_zsh_action(field)}"
        value = value if takes_value(field) else ""
        specs += [f"'{flag}[{text}]{value}'" for flag in flags_of(field)]
    argument = _argument(name)
    if argument is not None:
        star = "*" if argument.repeated else ""
        specs.append(f"'{star}:{_zsh_quote(argument.metavar.lower())}:{_zsh_action(argument)}'")
    return specs


def zsh_completion() -> str:
    """Return completions/_norcli."""
    lines = ["#compdef norcli", "# zsh completion of norcli; made by tools/gen_docs.py", "",
             "local -a commands", "local command=$words[2]", "commands=("]  # fmt: skip
    lines += [f"    '{name}:{_zsh_quote(REGISTRY[name].summary)}'" for name in top_level()]
    lines += [")", "if (( CURRENT == 2 )); then", "    _describe command commands", "    return",
              "fi", 'case "$command $words[3]" in']  # fmt: skip
    for name in (name for name in REGISTRY if " " in name):
        lines.append(f"    '{name}') (( CURRENT > 3 )) && command='{name}' ;;")
    lines += ["esac", 'case "$command" in']
    for name in REGISTRY:
        lines.append(f"    '{name}')")
        if subs := subcommands(name):
            listed = " ".join(subs)
            lines.append(f"        (( CURRENT == 3 )) && compadd -- {listed}")
        lines.append("        _arguments \\")
        lines += [f"            {spec} \\" for spec in _zsh_specs(name)]
        lines.append("            '--help[Show the help text]' ;;")
    return "\n".join([*lines, "esac"]) + "\n"


def _fish_quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def fish_completion() -> str:
    """Return completions/norcli.fish."""
    lines = ["# fish completion of norcli; made by tools/gen_docs.py", "complete -c norcli -f"]
    for name in top_level():
        summary = _fish_quote(REGISTRY[name].summary)
        lines.append(f"complete -c norcli -n __fish_use_subcommand -a {name} -d '{summary}'")
        for sub in subcommands(name):
            text = _fish_quote(REGISTRY[f"{name} {sub}"].summary)
            lines.append(f"complete -c norcli -n '__fish_seen_subcommand_from {name}' -a {sub} "
                         f"-d '{text}'")  # fmt: skip
    for name in REGISTRY:
        condition = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in name.split())
        for field in _flag_fields(name):
            parts = [f"complete -c norcli -n '{condition}'", f"-l {flags_of(field)[0][2:]}"]
            if field.info.short:
                parts.append(f"-s {field.info.short}")
            if takes_value(field):
                words = words_of(field)
                parts.append(f"-x -a '{' '.join(words)}'" if words else "-r -F")
            parts.append(f"-d '{_fish_quote(field.info.help)}'")
            lines.append(" ".join(parts))
        argument = _argument(name)
        if argument is not None:
            words = words_of(argument)
            lines.append(f"complete -c norcli -n '{condition}' "
                         + (f"-a '{' '.join(words)}'" if words else "-F"))  # fmt: skip
    return "\n".join(lines) + "\n"
