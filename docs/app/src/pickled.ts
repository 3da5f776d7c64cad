/** Dictionaries that NumPy pickled into `.npy` files, read without running what they ask for: `readers.pickled`.
 *  Numbers, texts, lists, dictionaries and NumPy's arrays and scalars are rebuilt; all else stays an inert call. */

import { InputProblem } from "./recording";

interface Call {
  callee: string;
  args: unknown[];
  state?: unknown;
}

const MARK = Symbol("mark");
const DTYPES: Record<string, [size: number, read: (view: DataView, at: number) => number]> = {
  f8: [8, (view, at) => view.getFloat64(at, true)],
  f4: [4, (view, at) => view.getFloat32(at, true)],
  i8: [8, (view, at) => Number(view.getBigInt64(at, true))],
  i4: [4, (view, at) => view.getInt32(at, true)],
  i2: [2, (view, at) => view.getInt16(at, true)],
  u1: [1, (view, at) => view.getUint8(at)],
  b1: [1, (view, at) => view.getUint8(at)],
};

/** The dictionary in a `.npy` file of one object. */
export function readPickled(name: string, content: ArrayBuffer): Map<unknown, unknown> {
  const problem = (why: string) => new InputProblem(`Expected ${name} as a dictionary saved by NumPy; reading it fails: ${why}.`);
  const bytes = new Uint8Array(content);
  if (content.byteLength < 12 || String.fromCharCode(...bytes.subarray(1, 6)) !== "NUMPY") throw problem("it does not begin as a .npy file");
  const view = new DataView(content);
  const start = bytes[6] > 1 ? 12 + view.getUint32(8, true) : 10 + view.getUint16(8, true);
  let found: unknown;
  try {
    found = numbersOf(new Unpickler(bytes.subarray(start)).load());
  } catch (error) {
    throw problem((error as Error).message);
  }
  const inner = Array.isArray(found) ? found[0] : found;
  if (!(inner instanceof Map)) throw problem("it holds no dictionary");
  return inner;
}

/** A finite number, of Python or NumPy; else null. */
export function numberIn(found: Map<unknown, unknown>, name: string): number | null {
  const value = numbersOf(found.get(name));
  const one = Array.isArray(value) && value.length === 1 ? value[0] : value;
  return typeof one === "number" && Number.isFinite(one) ? one : null;
}

/** The numbers of an array that is not empty; else null. */
export function arrayIn(found: Map<unknown, unknown>, name: string): number[] | null {
  const value = numbersOf(found.get(name));
  return Array.isArray(value) && value.length && value.every((one) => typeof one === "number") ? (value as number[]) : null;
}

/** What NumPy's own calls make: arrays (flat) and scalars; anything else as it is. */
function numbersOf(value: unknown): unknown {
  const { callee, args, state } = (value ?? {}) as Call;
  if (typeof callee !== "string") return value;
  if (callee.endsWith(".scalar")) return unpacked(args[0], args[1])?.[0];
  if (callee.endsWith("._frombuffer")) return unpacked(args[1], args[0]);
  if (!callee.endsWith("._reconstruct") || !Array.isArray(state)) return value;
  return Array.isArray(state[4]) ? state[4] : unpacked(state[2], state[4]);
}

function unpacked(dtype: unknown, data: unknown): number[] | undefined {
  const { callee, args, state } = (dtype ?? {}) as Call;
  const known = callee?.endsWith(".dtype") ? DTYPES[String(args[0]).replace(/^[<|]/, "")] : undefined;
  const bytes = bytesOf(data);
  if (!known || !bytes || (Array.isArray(state) && state[1] === ">")) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.byteLength / known[0]) }, (_, i) => known[1](view, i * known[0]));
}

/** Bytes, also as old pickles write them: a text that is to be encoded. */
function bytesOf(data: unknown): Uint8Array | null {
  if (data instanceof Uint8Array) return data;
  const { callee, args } = (data ?? {}) as Call;
  return callee === "_codecs.encode" && typeof args[0] === "string" ? Uint8Array.from(args[0], (letter) => letter.charCodeAt(0)) : null;
}

/** The stack machine of pickles, protocols 2 to 5 (NumPy writes no older ones), which calls nothing. */
class Unpickler {
  private at = 0;
  private stack: unknown[] = [];
  private memo = new Map<number, unknown>();
  private view: DataView;
  private steps: Record<string, () => unknown> = {
    "\x80": () => this.skip(1),
    "\x95": () => this.skip(8),
    "(": () => this.stack.push(MARK),
    "0": () => this.stack.pop(),
    N: () => this.stack.push(null),
    "\x88": () => this.stack.push(true),
    "\x89": () => this.stack.push(false),
    K: () => this.stack.push(this.number(1)),
    M: () => this.stack.push(this.number(2)),
    J: () => this.stack.push(this.view.getInt32(this.skip(4), true)),
    "\x8a": () => this.stack.push(this.long(this.number(1))),
    "\x8b": () => this.stack.push(this.long(this.number(4))),
    G: () => this.stack.push(this.view.getFloat64(this.skip(8), false)),
    X: () => this.stack.push(this.text(this.number(4))),
    "\x8c": () => this.stack.push(this.text(this.number(1))),
    "\x8d": () => this.stack.push(this.text(this.number(8))),
    T: () => this.stack.push(latin(this.taken(this.number(4)))),
    U: () => this.stack.push(latin(this.taken(this.number(1)))),
    B: () => this.stack.push(this.taken(this.number(4))),
    C: () => this.stack.push(this.taken(this.number(1))),
    "\x8e": () => this.stack.push(this.taken(this.number(8))),
    "\x96": () => this.stack.push(this.taken(this.number(8))),
    "]": () => this.stack.push([]),
    ")": () => this.stack.push([]),
    "\x8f": () => this.stack.push([]), // a set, as the list of what is in it
    "}": () => this.stack.push(new Map()),
    t: () => this.stack.push(this.marked()),
    l: () => this.stack.push(this.marked()),
    "\x91": () => this.stack.push(this.marked()),
    d: () => this.stack.push(filled(new Map(), this.marked())),
    "\x85": () => this.stack.push(this.several(1)),
    "\x86": () => this.stack.push(this.several(2)),
    "\x87": () => this.stack.push(this.several(3)),
    a: () => appended(this.several(1), this.top()),
    e: () => appended(this.marked(), this.top()),
    "\x90": () => appended(this.marked(), this.top()),
    s: () => filledLast(this.several(2), this.top()),
    u: () => filledLast(this.marked(), this.top()),
    q: () => this.memo.set(this.number(1), this.top()),
    r: () => this.memo.set(this.number(4), this.top()),
    "\x94": () => this.memo.set(this.memo.size, this.top()),
    h: () => this.stack.push(this.memo.get(this.number(1))),
    j: () => this.stack.push(this.memo.get(this.number(4))),
    c: () => this.stack.push(`${this.line()}.${this.line()}`),
    "\x93": () => this.stack.push(this.several(2).join(".")),
    R: () => this.call(),
    "\x81": () => this.call(),
    b: () => this.build(),
  };

  constructor(private bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  load(): unknown {
    for (;;) {
      const code = String.fromCharCode(this.bytes[this.skip(1)]);
      if (code === ".") return this.top();
      const step = this.steps[code];
      if (!step) throw new Error(`it holds the unknown code ${code.charCodeAt(0)}`);
      step();
    }
  }

  private call(): void {
    const [callee, args] = this.several(2);
    this.stack.push({ callee: String(callee), args: Array.isArray(args) ? args : [] } satisfies Call);
  }

  private build(): void {
    const [state] = this.several(1);
    const made = this.top() as Call | null;
    if (typeof made?.callee === "string") made.state = state;
  }

  private top(): unknown {
    if (!this.stack.length) throw new Error("it is damaged");
    return this.stack[this.stack.length - 1];
  }

  private several(count: number): unknown[] {
    if (this.stack.length < count) throw new Error("it is damaged");
    return this.stack.splice(-count);
  }

  private marked(): unknown[] {
    const mark = this.stack.lastIndexOf(MARK);
    if (mark < 0) throw new Error("it is damaged");
    const found = this.stack.splice(mark + 1);
    this.stack.pop();
    return found;
  }

  /** Go on by so many bytes; returns where they begin. */
  private skip(count: number): number {
    const at = this.at;
    if (!(at + count <= this.bytes.length)) throw new Error("it is truncated");
    this.at += count;
    return at;
  }

  private taken(count: number): Uint8Array {
    return this.bytes.subarray(this.skip(count), this.at);
  }

  private number(size: number): number {
    return this.taken(size).reduceRight((value, byte) => value * 256 + byte, 0);
  }

  private long(size: number): number {
    const bytes = this.taken(size);
    const value = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
    return size && bytes[size - 1] & 0x80 ? value - 256 ** size : value;
  }

  private text(count: number): string {
    return new TextDecoder().decode(this.taken(count));
  }

  private line(): string {
    const end = this.bytes.indexOf(10, this.at);
    if (end < 0) throw new Error("it is truncated");
    const text = latin(this.taken(end - this.at));
    this.skip(1);
    return text;
  }
}

function latin(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

function filled(map: Map<unknown, unknown>, pairs: unknown[]): Map<unknown, unknown> {
  for (let i = 0; i + 1 < pairs.length; i += 2) map.set(pairs[i], pairs[i + 1]);
  return map;
}

function filledLast(pairs: unknown[], map: unknown): void {
  if (map instanceof Map) filled(map, pairs);
}

function appended(more: unknown[], list: unknown): void {
  if (Array.isArray(list)) for (const one of more) list.push(one);
}
