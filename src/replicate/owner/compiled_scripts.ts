/**
 * Scripts for a server that runs only what comes compiled: `x.script` goes with `x.bc`, or not at
 * all, for without it nothing would run and nobody would be told.
 */
import { bytecodeVersion } from "../../formats/sieve/bytecode.ts";
import { sha1Of } from "../../hash/sha1.ts";
import { bytecodeOf, type SieveFile, type UserState } from "../../model/mailbox.ts";
import type { Owner } from "../../model/names.ts";
import { type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import type { Place } from "../../places/place.ts";
import { activeScript, haveSameContent, scriptsOf } from "../plan/scripts.ts";

/** A script that is not sent, and why. */
export interface LeftScript {
  readonly filename: string;
  readonly refusal: Refusal;
}

export interface CompiledScripts {
  readonly ours: UserState;
  readonly left: readonly LeftScript[];
}

export interface CompiledOptions {
  readonly owner: Owner;
  readonly source: Place;
  readonly target: Pick<Place, "bytecode">;
  readonly theirs: UserState;
}

/**
 * `ours` with the scripts that the target can run, and their bytecode. Of the others it keeps what
 * the target has, so that nothing of it is deleted.
 */
export async function compiledScripts(
  ours: UserState,
  { owner, source, target, theirs }: CompiledOptions,
): Promise<CompiledScripts> {
  const { bytecode } = target;
  if (typeof bytecode !== "object" || owner.kind !== "user") return { ours, left: [] };
  const { newest } = bytecode;
  const sieve: SieveFile[] = [];
  const left: LeftScript[] = [];
  const kept = new Set<string>();
  const active = `${activeScript(ours.sieve)}.bc`;
  for (const script of scriptsOf(ours.sieve)) {
    const { filename } = script;
    const compiled = bytecodeOf(filename) ?? "";
    const isActive = active === compiled;
    const runs = runningAt(theirs, script, compiled);
    if (runs !== undefined) {
      sieve.push(script, { ...runs, isActive });
      continue;
    }
    const found = await source.sieveScript(owner.userid, compiled);
    const fit = found.kind === "ok" ? fitBytecode(found.value, { compiled, newest }) : found;
    if (fit.kind === "ok") {
      const listed = ours.sieve.find((file) => file.filename === compiled);
      const lastUpdate = listed?.lastUpdate || script.lastUpdate;
      sieve.push(script, { filename: compiled, lastUpdate, guid: sha1Of(fit.value), isActive });
      continue;
    }
    kept.add(filename).add(compiled);
    const text = `${filename}: it would not run: ${fit.text}`;
    left.push({ filename, refusal: refused("notSupported", text) });
  }
  for (const file of theirs.sieve) {
    const isChosen = kept.has(active) && file.isActive;
    if (kept.has(file.filename) || isChosen) sieve.push({ ...file, isActive: isChosen });
  }
  return { ours: { ...ours, sieve }, left };
}

/** The bytecode of the same script at the target, made since: that is the target's own affair. */
function runningAt(
  { sieve }: UserState,
  script: SieveFile,
  compiled: string,
): SieveFile | undefined {
  const known = sieve.find(({ filename }) => filename === script.filename);
  const isSame =
    known && (haveSameContent(script, known) ?? script.lastUpdate === known.lastUpdate);
  if (known === undefined || isSame !== true) return undefined;
  const since = Math.max(1, known.lastUpdate);
  return sieve.find((file) => file.filename === compiled && file.lastUpdate >= since);
}

function fitBytecode(
  content: Uint8Array,
  { compiled, newest }: { readonly compiled: string; readonly newest: number },
): Outcome<Uint8Array> {
  const version = bytecodeVersion(content);
  if (version === undefined) return refused("damaged", `${compiled} is no bytecode`);
  if (version <= newest) return ok(content);
  const text = `${compiled} has bytecode of version ${version}, newer than ${newest}`;
  return refused("notSupported", text);
}
