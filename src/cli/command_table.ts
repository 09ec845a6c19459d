/** All commands, in the order in which the help and the README list them. */
import type { Register } from "./command.ts";
import { registerBackup } from "./commands/backup.ts";
import { registerCat } from "./commands/cat.ts";
import { registerDiff } from "./commands/diff.ts";
import { registerDlist } from "./commands/dlist.ts";
import { registerFsck } from "./commands/fsck.ts";
import { registerGenerate } from "./commands/generate.ts";
import { registerHelp } from "./commands/help.ts";
import { registerLs } from "./commands/ls.ts";
import { registerPasswd } from "./commands/passwd.ts";
import { registerReplicate } from "./commands/replicate.ts";
import { registerServe } from "./commands/serve.ts";
import { registerStore } from "./commands/store.ts";

export const COMMANDS: readonly Register[] = [
  registerFsck,
  registerLs,
  registerCat,
  registerReplicate,
  registerDiff,
  registerBackup,
  registerServe,
  registerPasswd,
  registerStore,
  registerDlist,
  registerGenerate,
  registerHelp,
];
