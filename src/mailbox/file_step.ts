/** What a change of a mailbox's files comes to: bytes that stand somewhere afterwards. */
import { viewOf } from "../core/bytes.ts";

/** What the start of a file must say for a write into it to be done: else it is another file. */
export interface FileFit {
  readonly generation: number;
  /** Records of cyrus.index, or bytes of cyrus.annotations, before the change … */
  readonly before: number;
  /** … and after it: a step may be done again that was done, or half done, before. */
  readonly after: number;
}

/**
 * One thing to do to a file. A step says what bytes stand where, so doing it twice does no harm.
 */
export type FileStep =
  /** Bytes overwritten or appended in place. */
  | {
      readonly kind: "write";
      readonly path: string;
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly fit?: FileFit;
    }
  /** A whole file put in place of another, or made. */
  | { readonly kind: "replace"; readonly path: string; readonly bytes: Uint8Array };

/** The bytes at the start of a file that `fitProblem` looks at. */
export const FIT_BYTES = 64;

/** Why the write on `fit` cannot be done to the file beginning with `head`; undefined if it can. */
export function fitProblem(path: string, head: Uint8Array, fit: FileFit): string | undefined {
  const { generation, size, unit } = stateOf(path, head);
  if (generation === fit.generation && (size === fit.before || size === fit.after))
    return undefined;
  return (
    `generation ${generation} with ${size} ${unit}, ` +
    `expected ${fit.generation} with ${fit.before} or ${fit.after}`
  );
}

/** Of cyrus.annotations (twoskip, spool-format 7.3) or a cyrus.index of any version (1.1). */
function stateOf(
  path: string,
  head: Uint8Array,
): { generation: number; size: number; unit: string } {
  const isAnnotations = path.endsWith("cyrus.annotations");
  const unit = isAnnotations ? "bytes" : "records";
  if (head.length < (isAnnotations ? FIT_BYTES : 24)) return { generation: -1, size: -1, unit };
  const view = viewOf(head);
  if (!isAnnotations) return { generation: view.getUint32(0), size: view.getUint32(20), unit };
  return {
    generation: Number(view.getBigUint64(24)),
    size: Number(view.getBigUint64(48)),
    unit,
  };
}
