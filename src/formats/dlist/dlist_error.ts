/** What is wrong with a dlist, and where its reader may go on. */
import { FormatError } from "../../core/errors.ts";

/** A syntax error or a limit passed, and what must be eaten to stay in step with the sender. */
export class DlistError extends FormatError {
  /** Bytes of a literal that follow and that nobody will read. */
  readonly skip: number;
  /** True when the line has ended with what was wrong. */
  readonly lineEnded: boolean;

  constructor(offset: number, expected: string, rest: { skip?: number; lineEnded?: boolean } = {}) {
    super(offset, expected);
    this.skip = rest.skip ?? 0;
    this.lineEnded = rest.lineEnded ?? false;
  }
}
