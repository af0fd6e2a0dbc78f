/**
 * The source of a class: what of it is sent, what is added to it, and what its members are.
 */
import { blank, type Edit, HERITAGE, MARK, PRIVATES, prefix, STATICS } from './stand_ins.ts';
import { type Any, hasRun } from './variables.ts';

/** What a class extends, if that is not null. @internal */
export function heritageOf(node: Any): Any | undefined {
  const heritage = node.superClass as unknown as (Any & { value?: unknown }) | null;
  return heritage === null || (heritage.type === 'Literal' && heritage.value === null)
    ? undefined
    : heritage;
}

/** What it extends is a value by now; static fields and blocks have run, and what they have left is sent. @internal */
export function classEdits(node: Any, text: string, offset: number): Edit[] {
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
    const block = `;static { ${STATICS}({ ${setters.join(', ')} }); }`;
    edits.push({ start: end - 1, end: end - 1, text: block });
  }
  return edits;
}

/**
 * What gives instances their private members without running anything of the class (stamps.ts): while the mark is set the
 * constructor does nothing, and fields get no value but functions. Of a class that was sent before, parts are there already.
 * @internal
 */
export function stampEdits(node: Any, text: string): Edit[] {
  const { body, end } = node.body as unknown as { body: Any[]; end: number };
  const edits: Edit[] = [];
  const insert = (start: number, text: string) => edits.push({ start, end: start, text });
  for (const member of body) {
    const value = member.value as unknown as Any | null | undefined;
    if (member.static || !value) continue;
    if (member.type === 'PropertyDefinition') {
      const [before, after] = unmarked(member, value);
      insert(value.start, before);
      insert(value.end, after);
      const { callee } = value as unknown as { callee: Any };
      if (isNaming(value)) edits.push(...orElse(callee));
    } else if (member.kind === 'constructor') {
      const { start } = value.body as unknown as Any;
      const after = heritageOf(node) === undefined ? 'return;' : '{super();return}';
      const code = `if(${MARK})${after}`;
      if (!text.startsWith(code, start + 1)) insert(start + 1, code);
    }
  }
  const object = `${prefix}object`;
  const value = `${prefix}value`;
  const fields = privatesOf(body) ?? [];
  const readable = [...fields, ...privateMethodsOf(body)];
  const getters = readable.map((name) => `"${name}": (${object}) => ${object}.${name}`);
  const setters = fields.map(
    (name) => `"${name}": (${object}, ${value}) => { ${object}.${name} = ${value}; }`,
  );
  const block = `;static { ${PRIVATES}({ ${getters.join(', ')} }, { ${setters.join(', ')} }); }`;
  insert(end - 1, block);
  return edits.filter(({ text }) => text !== '');
}

/** `f` becomes `(MARK||f)`: the mark is a function, which only gives its argument the name. */
function orElse({ start, end }: Any): Edit[] {
  return [
    { start, end: start, text: `(${MARK}||` },
    { start: end, end, text: ')' },
  ];
}

/** What stands around the value of a field, for it not to be evaluated while the mark is set. */
function unmarked(member: Any, value: Any): readonly [before: string, after: string] {
  const { type, test } = value as unknown as { type: string; test?: { name?: string } };
  const isMarked = type === 'ConditionalExpression' && test?.name === MARK;
  if (/^(Literal|ArrowFunction|Function)/.test(type) || functionIn(value) !== undefined || isMarked)
    return ['', ''];
  const open = `${MARK}?void 0:(`;
  const isNameless = type === 'ClassExpression' && !value.id && !member.computed;
  if (!isNameless) return [open, ')'];
  // A class without a name has that of its field.
  const name = JSON.stringify(fieldName(member));
  return [`${open}{[${name}]:`, `}[${name}])`];
}

/** `__name(() => ..., "handler")`: what esbuild makes of a function in a field, for it to keep its name. */
function isNaming(value: Any): boolean {
  const { type, callee } = value as unknown as { type: string; callee: Any };
  return (
    type === 'CallExpression' && callee.type === 'Identifier' && functionIn(value) !== undefined
  );
}

/** The function that a field is given, also by way of a call that keeps its name. */
function functionIn(value: Any): Any | undefined {
  if (/^(ArrowFunction|Function)Expression$/.test(value.type)) return value;
  if (value.type !== 'CallExpression') return undefined;
  const { callee, arguments: args } = value as unknown as { callee: Any; arguments: Any[] };
  const [fn, name, ...more] = args;
  const isMarked =
    callee.type === 'LogicalExpression' && (callee.left as { name?: string }).name === MARK;
  if (callee.type !== 'Identifier' && !isMarked) return undefined;
  const isName = typeof (name as { value?: unknown } | undefined)?.value === 'string';
  if (fn === undefined || !isName || more.length > 0) return undefined;
  return functionIn(fn) === fn ? fn : undefined;
}

const isPrivate = ({ key }: Any) =>
  (key as unknown as Any | undefined)?.type === 'PrivateIdentifier';

const nameOfPrivate = ({ key }: Any) => `#${(key as unknown as { name: string }).name}`;

/** The private fields of instances; undefined where instances have no private member. */
function privatesOf(body: readonly Any[]): string[] | undefined {
  const members = body.filter((member) => !member.static && isPrivate(member));
  if (members.length === 0) return undefined;
  return members.filter(({ type }) => type === 'PropertyDefinition').map(nameOfPrivate);
}

function privateMethodsOf(body: readonly Any[]): string[] {
  return body
    .filter((member) => !member.static && isPrivate(member) && member.kind === 'method')
    .map(nameOfPrivate);
}

/** What a class has. @internal */
export function membersOf(node: Any | undefined, text: string, offset: number) {
  const classMembers = new Map<string, string>();
  const privateMethods = new Map<string, string>();
  const staticPrivates: string[] = [];
  const fieldFunctions = new Map<string, number>();
  let hasComputed = false;
  const { body = [] } = (node?.body ?? {}) as unknown as { body?: Any[] };
  for (const member of body) {
    const own = text.slice(member.start - offset, member.end - offset).replace(/^static\s+/, '');
    const value = member.value as unknown as Any | null | undefined;
    if (member.type === 'PropertyDefinition' && !member.static && !member.computed && value) {
      const fn = functionIn(value);
      if (fn !== undefined) fieldFunctions.set(fieldName(member), fn.start - offset);
    }
    if (isPrivate(member)) {
      if (hasRun(member)) staticPrivates.push(nameOfPrivate(member));
      else if (member.kind === 'method') privateMethods.set(nameOfPrivate(member), own);
      continue;
    }
    if (member.type !== 'MethodDefinition') continue;
    if (member.computed) hasComputed = true;
    const name = fieldName(member);
    classMembers.set(member.static ? `static ${name}` : name, own);
  }
  const privates = privatesOf(body);
  return { classMembers, privateMethods, staticPrivates, hasComputed, privates, fieldFunctions };
}

/** The name of a member that is not computed. */
function fieldName(member: Any): string {
  if (isPrivate(member)) return nameOfPrivate(member);
  const { name, value } = member.key as unknown as { name?: string; value?: unknown };
  return name ?? String(value);
}
