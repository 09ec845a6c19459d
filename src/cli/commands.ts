/** Every command, in the order the help shows them. */
import type { Register } from "./command.ts";
import { registerFsck } from "./fsck.ts";
import { registerStore } from "./store.ts";

export const COMMANDS: readonly Register[] = [registerFsck, registerStore];
