/** The error of a dlist parser, with what a reader of a stream needs to go on after it. */
import { FormatError } from "../../core/errors.ts";

/** A syntax error or a passed limit, and what of the broken line is still to come. */
export class DlistError extends FormatError {
  /** Bytes of a literal that the peer will still send and that are to be dropped. */
  readonly skip: number;
  /** True when the line ended with the error, so that nothing of it is left to drop. */
  readonly lineEnded: boolean;

  constructor(offset: number, expected: string, rest: { skip?: number; lineEnded?: boolean } = {}) {
    super(offset, expected);
    this.skip = rest.skip ?? 0;
    this.lineEnded = rest.lineEnded ?? false;
  }
}
