# Completion of bobbin for fish, made by: bobbin generate completion fish
function __bobbin_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct | string unescape)
    # The colon: the word is never empty, as bobbin refuses empty words.
    $words[1] generate complete -- $words[2..] ":$current" 2>/dev/null
end
complete -c bobbin -f -a '(__bobbin_complete)'
