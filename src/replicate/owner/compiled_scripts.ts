/**
 * Scripts for a server that runs only what comes compiled: `x.script` goes with `x.bc`, or not at
 * all, for without it nothing would run and nobody would be told.
 */
import { bytecodeVersion } from "../../formats/sieve/bytecode.ts";
import { sha1Of } from "../../hash/sha1.ts";
import type { SieveFile, UserState } from "../../model/mailbox.ts";
import type { Owner } from "../../model/names.ts";
import { type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import type { Place } from "../../places/place.ts";

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
  readonly target: Pick<Place, "runsBytecode">;
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
  const newest = target.runsBytecode;
  if (newest === undefined || owner.kind !== "user") return { ours, left: [] };
  const sieve: SieveFile[] = [];
  const left: LeftScript[] = [];
  const kept = new Set<string>();
  const active = ours.sieve.find(({ isActive }) => isActive)?.filename;
  for (const script of ours.sieve.filter(({ filename }) => filename.endsWith(".script"))) {
    const { filename } = script;
    const compiled = filename.replace(/script$/, "bc");
    const found = await source.sieveScript(owner.userid, compiled);
    const fit = found.kind === "ok" ? fitBytecode(found.value, { compiled, newest }) : found;
    if (fit.kind === "ok") {
      const listed = ours.sieve.find((file) => file.filename === compiled);
      const lastUpdate = listed?.lastUpdate || script.lastUpdate;
      const isActive = active === compiled;
      sieve.push(script, { filename: compiled, lastUpdate, guid: sha1Of(fit.value), isActive });
      continue;
    }
    kept.add(filename).add(compiled);
    const text = `${filename}: it would not run: ${fit.text}`;
    left.push({ filename, refusal: refused("notSupported", text) });
  }
  for (const file of theirs.sieve) {
    const isChosen = active !== undefined && kept.has(active) && file.isActive;
    if (kept.has(file.filename) || isChosen) sieve.push({ ...file, isActive: isChosen });
  }
  return { ours: { ...ours, sieve }, left };
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
