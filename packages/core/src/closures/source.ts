/**
 * The source of a function or class: what of it has to come along, and how it is written down to be made again. It is
 * parsed by acorn, which is loaded with the first function that travels by value.
 */

import { byNode } from '@multiprocessing/posix';
import type { Node, Options } from 'acorn';
import { PicklingError } from '../base/errors.ts';
import { require } from '../base/require.ts';
import { classEdits, heritageOf, membersOf, stampEdits } from './class_source.ts';
import { blank, type Edit, META, NAME, THIS } from './stand_ins.ts';
import {
  type Any,
  type Reference,
  type Surroundings,
  surroundingsOf,
  surroundingsOfClass,
} from './variables.ts';

/** A function's or class's source, parsed. @internal */
export interface FunctionSource {
  readonly text: string;
  /** Where V8 says that it begins: of a function with a name or a keyword, or a class's constructor, at its parameters. */
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
  /** Whether it uses private members of the class around it, outside of which its code is none. */
  readonly usesPrivates: boolean;
  /** Where in the text the functions begin that fields of instances are given. */
  readonly fieldFunctions: ReadonlyMap<string, number>;
  /** The texts of the private methods of instances. */
  readonly privateMethods: ReadonlyMap<string, string>;
  /** Private fields of instances, in their order; undefined if those have no private members. */
  readonly privates: readonly string[] | undefined;
  readonly references: readonly Reference[];
  readonly edits: readonly Edit[];
  /** What else is needed for private members of instances. */
  readonly stampEdits: readonly Edit[];
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
    checkPrivateFields: false,
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
    usesPrivates: code.privates || !!early?.privates,
    usesMeta: metas.length > 0,
    extends: isClass && heritageOf(node) !== undefined,
    ...membersOf(isClass ? node : undefined, text, offset),
    references,
    edits: [...edits, ...metas].map(moved),
    stampEdits: isClass ? stampEdits(node, `${' '.repeat(offset)}${text}`).map(moved) : [],
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
  if (own.type === 'ClassExpression') {
    const { body } = own.body as unknown as { body: Any[] };
    const maker = body.find(({ kind }) => kind === 'constructor')?.value as unknown as Any;
    return maker === undefined ? 0 : maker.start - offset;
  }
  if (own.type === 'ArrowFunctionExpression') return 0;
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
 * @param stamped whether it is a class of which instances with private members are sent
 * @internal
 */
export function render(
  source: FunctionSource,
  renamed: (name: string) => string | undefined,
  stamped = false,
): Rendered {
  const edits = [...source.edits, ...(stamped ? source.stampEdits : [])];
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
  // What is put before something else stays before it.
  edits.sort((a, b) => b.start - a.start || b.end - a.end);
  let { text } = source;
  for (const edit of edits) text = text.slice(0, edit.start) + edit.text + text.slice(edit.end);
  const moves = edits
    .map(({ start, end, text }) => [end, text.length - (end - start)] as const)
    .filter(([, by]) => by !== 0)
    .reverse();
  return { text, moves };
}
