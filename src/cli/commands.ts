/** Every command, in the order the help shows them. */
import { registerCat } from "./cat.ts";
import type { Register } from "./command.ts";
import { registerDiff } from "./diff.ts";
import { registerDlist } from "./dlist.ts";
import { registerFsck } from "./fsck.ts";
import { registerLs } from "./ls.ts";
import { registerPasswd } from "./passwd.ts";
import { registerReplicate } from "./replicate.ts";
import { registerServe } from "./serve.ts";
import { registerStore } from "./store.ts";

export const COMMANDS: readonly Register[] = [
  registerFsck,
  registerServe,
  registerPasswd,
  registerLs,
  registerCat,
  registerDlist,
  registerStore,
  registerReplicate,
  registerDiff,
];
