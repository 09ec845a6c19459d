/**
 * Reading twoskip, the format of mailboxes.db, annotations and seen state (spool-format 7.3).
 *
 * The live records are those along level 0 from the dummy at 64. Following only pointers below the
 * committed size is what Cyrus' recovery does, so a file with a broken-off transaction reads right
 * without being written. Where that walk meets damage, `replayTwoskip` goes through the whole file.
 */
import { latin1, viewOf } from "../../../core/bytes.ts";
import {
  addProblem,
  type DatabaseContents,
  type DatabaseEntry,
  type DatabaseProblem,
} from "./database_contents.ts";
import { type KeyOrder, mailboxOrder, rawOrder } from "./key_order.ts";
import * as layout from "./twoskip_record.ts";
import { replayTwoskip } from "./twoskip_replay.ts";

/** All live entries of a twoskip file, and what is wrong in it. Never throws, never loops. */
export function readTwoskip(bytes: Uint8Array): DatabaseContents {
  if (!layout.hasTwoskipHeader(bytes)) {
    const found = `${bytes.length} bytes beginning "${latin1(bytes.subarray(0, 4))}"`;
    const problem = { offset: 0, what: "header", expected: "a twoskip header of 64 bytes", found };
    return { entries: [], problems: [problem], unfinished: false };
  }
  const view = viewOf(bytes);
  const whole = { bytes, view, end: bytes.length };
  const { header, problem } = layout.readHeader(whole);
  if (problem !== undefined) return replayTwoskip(whole, { committed: false, problems: [problem] });
  const { currentSize } = header;
  const unfinished = header.dirty || currentSize < bytes.length;
  const problems = headerProblems(header, bytes.length);
  if (problems.length === 0) {
    const walk = newWalk({ bytes, view, end: currentSize });
    const fault = followChain(walk);
    if (fault === undefined) {
      checkOrder(walk);
      if (!unfinished) checkWhole(walk, header);
      return { entries: walk.entries, problems: walk.problems, unfinished };
    }
    problems.push(fault);
  }
  const rest = { bytes, view, end: Math.min(currentSize, bytes.length) };
  return { ...replayTwoskip(rest, { committed: true, problems }), unfinished };
}

function headerProblems(header: layout.TwoskipHeader, fileSize: number): DatabaseProblem[] {
  const problems: DatabaseProblem[] = [];
  if (header.version !== 1) {
    problems.push({ offset: 20, what: "version", expected: "1", found: `${header.version}` });
  }
  if (header.currentSize > fileSize) {
    const expected = `at least ${header.currentSize} bytes`;
    problems.push({ offset: 48, what: "file size", expected, found: `${fileSize}` });
  } else if (header.currentSize < layout.FIRST_OFFSET) {
    const expected = `at least ${layout.FIRST_OFFSET}`;
    problems.push({ offset: 48, what: "committed size", expected, found: `${header.currentSize}` });
  }
  return problems;
}

/** The state of one pass along level 0. */
interface Walk {
  readonly file: layout.TwoskipFile;
  readonly record: layout.TwoskipRecord;
  readonly entries: DatabaseEntry[];
  readonly problems: DatabaseProblem[];
  /** By pointer index from 2: where that level should lead next. */
  readonly ahead: Float64Array;
  liveCount: number;
  /** The first pointer of an upper level that leads elsewhere than the chain does. */
  linkage: DatabaseProblem | undefined;
}

function newWalk(file: layout.TwoskipFile): Walk {
  return {
    file,
    record: layout.emptyRecord(),
    entries: [],
    problems: [],
    ahead: new Float64Array(layout.MAX_LEVEL + 1),
    liveCount: 0,
    linkage: undefined,
  };
}

/** Walks from the dummy to the end of level 0; returns what stopped it short of that. */
function followChain(walk: Walk): DatabaseProblem | undefined {
  const { file, record } = walk;
  const dummyFault = layout.readRecord(file, layout.DUMMY_OFFSET, record);
  if (dummyFault !== undefined) return dummyFault;
  if (record.type !== layout.TYPE_DUMMY || record.level === 0)
    return typeFault(record, "the dummy");
  const tailFault = layout.checkTail(file, record);
  if (tailFault !== undefined) addProblem(walk.problems, tailFault);
  lookAhead(walk);
  let next = layout.nextOf(file, record);
  // Every record takes 24 bytes at least: more steps than that can only be a cycle.
  let stepsLeft = file.end / 24;
  while (next !== 0) {
    if (stepsLeft-- < 0) {
      return { offset: next, what: "chain of records", expected: "an end", found: "a cycle" };
    }
    const fault = layout.readRecord(file, next, record);
    if (fault !== undefined) return fault;
    if (record.type === layout.TYPE_LIVE && record.level > 0) takeRecord(walk);
    else if (record.type !== layout.TYPE_DELETE || record.level > 0) {
      return typeFault(record, "a live record or a delete mark");
    }
    next = layout.nextOf(file, record);
  }
  return undefined;
}

function takeRecord(walk: Walk): void {
  const { file, record, ahead } = walk;
  walk.liveCount++;
  for (let index = 2; index <= record.level; index++) {
    if (ahead[index] === record.offset || walk.linkage !== undefined) continue;
    walk.linkage = linkageProblem(record.offset, index, { expected: record.offset, walk });
  }
  lookAhead(walk);
  const fault = layout.checkTail(file, record);
  if (fault !== undefined) addProblem(walk.problems, fault);
  else {
    walk.entries.push({
      key: layout.keyBytes(file, record),
      value: layout.valueBytes(file, record),
    });
  }
}

function lookAhead({ file, record, ahead }: Walk): void {
  for (let index = 2; index <= record.level; index++) {
    ahead[index] = layout.uint64At(file.view, record.pointersOffset + 8 * index);
  }
}

/** What only holds while no transaction is under way: the count, and the pointers above level 0. */
function checkWhole(walk: Walk, header: layout.TwoskipHeader): void {
  if (header.numRecords !== walk.liveCount) {
    const expected = `${walk.liveCount}`;
    const found = `${header.numRecords}`;
    addProblem(walk.problems, { offset: 32, what: "number of records", expected, found });
  }
  for (let index = 2; index <= layout.MAX_LEVEL; index++) {
    if (walk.ahead[index] === 0 || walk.linkage !== undefined) continue;
    walk.linkage = linkageProblem(walk.ahead[index] ?? 0, index, { expected: 0, walk });
  }
  if (walk.linkage !== undefined) addProblem(walk.problems, walk.linkage);
}

function linkageProblem(
  offset: number,
  index: number,
  state: { readonly expected: number; readonly walk: Walk },
): DatabaseProblem {
  const what = `pointer along level ${index - 1}`;
  return { offset, what, expected: `${state.expected}`, found: `${state.walk.ahead[index]}` };
}

/** Keys rise in one of the two orders that Cyrus has; only a file in neither is damaged. */
function checkOrder(walk: Walk): void {
  if (firstDisorder(walk.entries, rawOrder) === undefined) return;
  const key = firstDisorder(walk.entries, mailboxOrder);
  if (key === undefined) return;
  const offset = key.byteOffset - walk.file.bytes.byteOffset;
  const expected = "above the key before it";
  addProblem(walk.problems, { offset, what: "key", expected, found: latin1(key), key });
}

function firstDisorder(entries: readonly DatabaseEntry[], order: KeyOrder): Uint8Array | undefined {
  let previous: Uint8Array | undefined;
  for (const { key } of entries) {
    if (previous !== undefined && order(previous, key) >= 0) return key;
    previous = key;
  }
  return undefined;
}

function typeFault(record: layout.TwoskipRecord, expected: string): DatabaseProblem {
  const found = `type ${record.type} of level ${record.level}`;
  return { offset: record.offset, what: "record type", expected, found };
}
