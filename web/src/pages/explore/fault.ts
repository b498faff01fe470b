// Where in a query an error is: from the server's byte offsets, or from the "line:column" in its message, to a range of
// JavaScript's string.
import { ApiError } from '../../data/api';

export interface Fault {
  message: string; // without the position and the parameter's name in front
  from: number; // in UTF-16 units; equal to `to` at the end of the text
  to: number;
  line: number; // from 1
  column: number; // from 1, in characters as they are shown
}

const encoder = new TextEncoder();

/** The index in `text` of the character that holds the byte at `offset` of its UTF-8 form. */
export function indexOfByte(text: string, offset: number): number {
  let bytes = 0;
  let index = 0;
  for (const character of text) {
    const size = encoder.encode(character).length;
    if (bytes + size > offset) return index;
    bytes += size;
    index += character.length;
  }
  return text.length;
}

function byteOfPlace(text: string, line: number, column: number): number {
  let at = 0;
  for (let i = 1; i < line; i++) {
    const next = text.indexOf('\n', at);
    if (next < 0) break;
    at = next + 1;
  }
  return encoder.encode(text.slice(0, at)).length + column - 1;
}

/** undefined when the error is not about a place in the text. */
export function faultOf(error: Error | undefined, text: string): Fault | undefined {
  if (!(error instanceof ApiError)) return undefined;
  const found = /^(?:invalid parameter "query": )?(?:(\d+):(\d+): )?(?:parse error: )?([\s\S]*)$/.exec(error.message);
  const place = found?.[1] === undefined ? undefined : { line: Number(found[1]), column: Number(found[2]) };
  if (error.at === undefined && place === undefined) return undefined;
  const start = error.at?.start ?? byteOfPlace(text, place!.line, place!.column);
  const from = indexOfByte(text, start);
  const to = Math.max(error.at === undefined ? from + 1 : indexOfByte(text, error.at.end), from);
  const before = text.slice(0, from);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { message: found?.[3] ?? error.message, from, to: Math.min(to, text.length), line: before.split('\n').length, column: [...before.slice(lineStart)].length + 1 };
}

/** The line at fault, and the marks under it: as many characters before as in the line, then a caret each. */
export function faultLines(text: string, fault: Fault): { line: string; before: string; marks: string } {
  const lineStart = text.lastIndexOf('\n', fault.from - 1) + 1;
  const lineEnd = text.indexOf('\n', fault.from);
  const line = text.slice(lineStart, lineEnd < 0 ? undefined : lineEnd);
  const end = Math.min(Math.max(fault.to, fault.from + 1), lineStart + Math.max(line.length, fault.from - lineStart + 1));
  return { line, before: text.slice(lineStart, fault.from), marks: '^'.repeat(Math.max(1, [...text.slice(fault.from, end)].length)) };
}
