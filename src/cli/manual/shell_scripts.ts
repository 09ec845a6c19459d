/**
 * What a shell runs when Tab is pressed. All that can be completed is told by the program itself
 * (`complete.ts`), one candidate a line, with a tab and a description after it.
 */
import bash from "./completion.bash" with { type: "text" };
import fish from "./completion.fish" with { type: "text" };
import zsh from "./completion.zsh" with { type: "text" };

export const SHELL_SCRIPTS = { bash, zsh, fish } as const;
