# Completion of bobbin for bash, made by: bobbin generate completion bash
_bobbin() {
    local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT} typed=${2//\\/} words word before
    # bash splits words at more than blanks (host:port, ann@example.com): split the line anew.
    read -a words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=("")
    word=${words[-1]}
    words[-1]=:$word # never empty, as bobbin refuses empty words
    # What stands before the part of the word that bash replaces.
    before=${word%"$typed"}
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        [[ $word == *[/:=] ]] && compopt -o nospace
        printf -v word %q "${word#"$before"}"
        COMPREPLY+=("$word")
    done < <("${words[0]/#\~/$HOME}" generate complete -- "${words[@]:1}" 2>/dev/null)
}
complete -F _bobbin bobbin
