#compdef bobbin
# Completion of bobbin for zsh, made by: bobbin generate completion zsh
_bobbin() {
    local word tells
    local -a given ended open shown_ended shown_open
    given=("${(@Q)words[2,CURRENT]}")
    given[-1]=":${(Q)PREFIX}" # never empty, as bobbin refuses empty words
    while IFS=$'\t' read -r word tells; do
        tells="$word${tells:+  -- $tells}"
        word=${${(q)word}/#\\\~/\~}
        if [[ $word == *[/:=] ]]; then
            open+=("$word") shown_open+=("$tells")
        else
            ended+=("$word") shown_ended+=("$tells")
        fi
    done < <("${${(Q)words[1]}/#\~/$HOME}" generate complete -- "${given[@]}" 2>/dev/null)
    compadd -Q -l -d shown_ended -a ended
    compadd -Q -l -S '' -d shown_open -a open
}
# As an autoloaded function this file is run when words are wanted; sourced, it only announces who
# gives them.
case $ZSH_EVAL_CONTEXT in
    *func) _bobbin ;;
    *) compdef _bobbin bobbin ;;
esac
