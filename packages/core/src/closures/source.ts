/**
 * The source of a function or class: what of it has to come along, and how it is written down to be made again. It is
 * parsed by acorn, which is loaded with the first function that travels by value.
 */

import { byNode } from '@multiprocessing/posix';
import type { Node, Options } from 'acorn';
import { PicklingError } from '../base/errors.ts';
import { require } from '../base/require.ts';
import {
  type Any,
  hasRun,
  type Reference,
  type Surroundings,
  surroundingsOf,
  surroundingsOfClass,
} from './variables.ts';

/** What variables are called in the code that is sent. @internal */
export const prefix = '__mp_';
/**
 * What stands for something in the code is as long as that, so that what follows keeps its place: an error tells the column.
 * @internal
 */
export const THIS = 'ꓔhis';
/** @internal */
export const ARGUMENTS = `${prefix}args`;
const META = `${prefix}meta`;

/** @internal */
export const HERITAGE = 'ꓧ';
/** The name of a member whose name was computed. @internal */
export const NAME = 'ꓠ';
const STATICS = `${prefix}statics`;
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** A function's or class's source, parsed. @internal */
export interface FunctionSource {
  readonly text: string;
  /** Where V8 says that it begins: of a function with a name or a keyword, at its parameters. */
  readonly start: number;
  readonly isClass: boolean;
  /** Whether calling it does not run it. */
  readonly isGenerator: boolean;
  /** Methods, getters and setters, which stand in an object literal. */
  readonly isMember: boolean;
  /** How many arguments give each parameter a value; of a class, which is not called, none. */
  readonly parameters: number;
  /** The variables of its surroundings. `this` of an arrow function is one of them. */
  readonly names: readonly string[];
  /** Those that it assigns to. */
  readonly assigned: ReadonlySet<string>;
  /** Those that a class needs when it is made. */
  readonly early: ReadonlySet<string>;
  /** As `names`, but only the members of them that it uses; undefined where it uses more. */
  readonly members: ReadonlyMap<string, readonly string[] | undefined>;
  /** Of `module.exports`, the same. */
  readonly exported: readonly string[] | undefined;
  readonly usesMeta: boolean;
  /** Whether it is a class that extends something that is not null. */
  readonly extends: boolean;
  /** Texts of the members of a class, by their names; those of the class itself as `static NAME`. */
  readonly classMembers: ReadonlyMap<string, string>;
  /** Whether names of members are computed. */
  readonly hasComputed: boolean;
  /** Private static fields. */
  readonly staticPrivates: readonly string[];
  readonly references: readonly Reference[];
  readonly edits: readonly Edit[];
}

type Parse = (text: string, options: Options) => Node;

let parser: Parse | undefined;

/** Parses a script or a part of it. @throws SyntaxError @internal */
export function parse(text: string, sourceType: 'module' | 'script' = 'module'): Any {
  parser ??= byNode(() => require('acorn') as { parse: Parse }).parse;
  const options: Options = {
    ecmaVersion: 'latest',
    sourceType,
    allowAwaitOutsideFunction: true,
    allowReturnOutsideFunction: true,
    allowSuperOutsideMethod: true,
  };
  return parser(text, options) as Any;
}

const known = new Map<string, FunctionSource>();
const MOST_KNOWN = 500;

/** @throws PicklingError for code that cannot be taken out of its place @internal */
export function sourceOf(fn: object): FunctionSource {
  const text = Function.prototype.toString.call(fn);
  let source = known.get(text);
  if (source === undefined) {
    source = analyse(text);
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(text, source);
  }
  return source;
}

function analyse(text: string): FunctionSource {
  const { node, offset, isMember } = parseFunction(text);
  const moved = (edit: Edit): Edit => ({
    ...edit,
    start: edit.start - offset,
    end: edit.end - offset,
  });
  const isClass = node.type === 'ClassExpression';
  const own = isMember ? ((node as Any).value as unknown as Any) : node;
  const { early, code } = isClass
    ? surroundingsOfClass(node)
    : { early: undefined, code: surroundingsOf([own], { this: false, super: false }) };
  if (code.newTarget) throw refused('new.target of the function around it');
  if (code.super) throw refused('super, which belongs to the object around it');
  if (code.references.some(({ name, kind }) => name === 'eval' && kind === 'called'))
    throw refused('eval, which can see every variable around it');
  const references = [...(early?.references ?? []), ...code.references].map((reference) => ({
    ...reference,
    start: reference.start - offset,
    end: reference.end - offset,
  }));
  const metas = metaEdits(code);
  const edits = isClass
    ? classEdits(node, text, offset)
    : memberEdits(node, isMember, text, offset);
  return {
    text,
    start: startOf(node, own, isMember, text, offset),
    isClass,
    isGenerator: !!own.generator,
    isMember,
    parameters: isClass ? 0 : (own.params as unknown as unknown[]).length,
    names: [...new Set(references.map(({ name }) => name))],
    assigned: new Set(references.flatMap(({ name, assigned }) => (assigned ? [name] : []))),
    early: new Set(early?.references.map(({ name }) => name)),
    members: membersUsed(text, references),
    exported: exportsUsed(text, references),
    usesMeta: metas.length > 0,
    extends: isClass && heritageOf(node) !== undefined,
    ...membersOf(isClass ? node : undefined, text, offset),
    references,
    edits: [...edits, ...metas].map(moved),
  };
}

function parseFunction(text: string): { node: Any; offset: number; isMember: boolean } {
  let failure: unknown;
  for (const sourceType of ['module', 'script'] as const) {
    for (const [open, close] of [
      ['(', ')'],
      ['({', '})'],
    ] as const) {
      try {
        const program = parse(`${open}${text}\n${close}`, sourceType) as unknown as {
          body: { expression: Any }[];
        };
        const { expression } = program.body[0] as { expression: Any };
        const isMember = open !== '(';
        if (!isMember) return { node: expression, offset: open.length, isMember };
        const [member] = expression.properties as unknown as Any[];
        return { node: member as Any, offset: open.length, isMember };
      } catch (error) {
        failure ??= error;
      }
    }
  }
  if (/'new\.target' can only/.test((failure as Error).message))
    throw refused('new.target of the function around it');
  if (/\[native code\]/.test(text)) throw new PicklingError('native code cannot be sent');
  if (/^(async\s*)?\*?\s*(get\s+|set\s+)?#/.test(text))
    throw new PicklingError('a private method cannot be sent without its class');
  throw new PicklingError(`its source cannot be parsed: ${(failure as Error).message}`);
}

function startOf(node: Any, own: Any, isMember: boolean, text: string, offset: number): number {
  if (/^(Class|Arrow)/.test(own.type)) return 0;
  const { key, computed } = node as unknown as { key?: Any; computed?: boolean };
  const name = (isMember ? key : own.id) as unknown as Any | null | undefined;
  const end = name ? name.end - offset : 0;
  return text.indexOf('(', computed ? text.indexOf(']', end) : end);
}

function refused(what: string): PicklingError {
  return new PicklingError(
    `it uses ${what}, which cannot be sent: keep that in a variable, and use the variable`,
  );
}

function metaEdits({ metas }: Surroundings): Edit[] {
  return metas.map(([start, end]) => ({ start, end, text: META.padEnd(end - start) }));
}

/** The computed name of a method is not computed again. */
function memberEdits(node: Any, isMember: boolean, text: string, offset: number): Edit[] {
  if (!isMember || !node.computed) return [];
  const { start, end } = node.key as unknown as Any;
  const open = text.lastIndexOf('[', start - offset);
  const close = text.indexOf(']', end - offset);
  const room = blank(text.slice(open + 1, close)).slice(NAME.length);
  return [{ start: open + offset, end: close + 1 + offset, text: `[${NAME}${room}]` }];
}

function heritageOf(node: Any): Any | undefined {
  const heritage = node.superClass as unknown as (Any & { value?: unknown }) | null;
  return heritage === null || (heritage.type === 'Literal' && heritage.value === null)
    ? undefined
    : heritage;
}

/** So much room, with the same lines. */
const blank = (text: string) => text.replace(/[^\n]/g, ' ');

/** What it extends is a value by now; static fields and blocks have run, and what they have left is sent. */
function classEdits(node: Any, text: string, offset: number): Edit[] {
  const edits: Edit[] = [];
  const heritage = heritageOf(node);
  if (heritage !== undefined) {
    // With the parentheses that may stand around it.
    const { start } = node.body as unknown as Any;
    const word = text.lastIndexOf('extends', heritage.start - offset);
    const place = { start: word + offset, end: start };
    edits.push({ ...place, text: instead(`extends ${HERITAGE} `, place) });
  }
  function instead(code: string, { start, end }: { start: number; end: number }): string {
    return code + blank(text.slice(start - offset, end - offset)).slice(code.length);
  }
  const { body, end } = node.body as unknown as { body: Any[]; end: number };
  const privates: string[] = [];
  for (const member of body.filter(hasRun)) {
    const key = member.key as unknown as (Any & { name: string }) | undefined;
    if (key?.type !== 'PrivateIdentifier') {
      edits.push({ start: member.start, end: member.end, text: instead('', member) });
      continue;
    }
    privates.push(key.name);
    edits.push({
      start: member.start,
      end: member.end,
      text: instead(`static #${key.name};`, member),
    });
  }
  if (privates.length > 0) {
    const setters = privates.map(
      (name) => `"#${name}": (${prefix}value) => { this.#${name} = ${prefix}value; }`,
    );
    const block = `static { ${STATICS}({ ${setters.join(', ')} }); }`;
    edits.push({ start: end - 1, end: end - 1, text: block });
  }
  return edits;
}

function membersOf(node: Any | undefined, text: string, offset: number) {
  const classMembers = new Map<string, string>();
  const staticPrivates: string[] = [];
  let hasComputed = false;
  const { body = [] } = (node?.body ?? {}) as unknown as { body?: Any[] };
  for (const member of body) {
    const key = member.key as unknown as (Any & { name?: string; value?: unknown }) | undefined;
    if (key?.type === 'PrivateIdentifier') {
      if (hasRun(member)) staticPrivates.push(`#${key.name}`);
      continue;
    }
    if (member.type !== 'MethodDefinition' || key === undefined) continue;
    if (member.computed) hasComputed = true;
    const name = key.name ?? String(key.value);
    const own = text.slice(member.start - offset, member.end - offset).replace(/^static\s+/, '');
    classMembers.set(member.static ? `static ${name}` : name, own);
  }
  return { classMembers, staticPrivates, hasComputed };
}

/** `v.a` and `v.b` and nothing else of v: then only these are needed of a module. */
function membersUsed(
  text: string,
  references: readonly Reference[],
): ReadonlyMap<string, readonly string[] | undefined> {
  const members = new Map<string, string[] | undefined>();
  for (const { name, end } of references) {
    const member = memberAt(text, end)?.name;
    const before = members.has(name) ? members.get(name) : [];
    members.set(name, member === undefined ? undefined : before && [...before, member]);
  }
  return members;
}

/** What is used of `module.exports`; undefined where it is used as a whole. */
function exportsUsed(
  text: string,
  references: readonly Reference[],
): readonly string[] | undefined {
  const used: string[] = [];
  for (const { name, end } of references) {
    const exports = name === 'module' ? memberAt(text, end) : undefined;
    if (exports?.name !== 'exports') continue;
    const member = memberAt(text, exports.end);
    if (member === undefined) return undefined;
    used.push(member.name);
  }
  return used;
}

/** The `.name` that stands at a place. */
function memberAt(text: string, start: number): { name: string; end: number } | undefined {
  const [all, name] =
    /^\s*\??\.\s*([\p{ID_Start}$_][\p{ID_Continue}$]*)/u.exec(text.slice(start, start + 200)) ?? [];
  return name === undefined ? undefined : { name, end: start + (all as string).length };
}

/** What is sent of a source. */
interface Rendered {
  readonly text: string;
  /** By how much what stands behind a place in the original has moved to the right. */
  readonly moves: readonly (readonly [offset: number, by: number])[];
}

/**
 * The source as it is sent.
 * @param renamed what stands for a variable; undefined for its own name
 * @internal
 */
export function render(
  source: FunctionSource,
  renamed: (name: string) => string | undefined,
): Rendered {
  const edits = [...source.edits];
  for (const { name, start, end, kind } of source.references) {
    // What is left out with a static field needs no other name.
    if (edits.some((edit) => edit.start <= start && edit.end >= end && edit.end > edit.start))
      continue;
    const text = name === 'this' ? THIS : renamed(name);
    if (text === undefined) continue;
    const whole =
      kind === 'shorthand'
        ? `${name}: ${text}`
        : kind === 'called' && text.includes('.')
          ? `(0,${text})`
          : text;
    edits.push({ start, end, text: whole.padEnd(end - start) });
  }
  edits.sort((a, b) => b.start - a.start);
  let { text } = source;
  for (const edit of edits) text = text.slice(0, edit.start) + edit.text + text.slice(edit.end);
  const moves = edits
    .map(({ start, end, text }) => [end, text.length - (end - start)] as const)
    .filter(([, by]) => by !== 0)
    .reverse();
  return { text, moves };
}
