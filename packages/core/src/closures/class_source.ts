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
    const block = `static { ${STATICS}({ ${setters.join(', ')} }); }`;
    edits.push({ start: end - 1, end: end - 1, text: block });
  }
  return edits;
}

/** Nothing happens when the value is made, or it would lose the name that it has of the field. */
const HARMLESS = /^(Literal|ArrowFunctionExpression|FunctionExpression|ClassExpression)$/;

/** What gives instances their private members without running anything of the class (stamps.ts). @internal */
export function stampEdits(node: Any): Edit[] {
  const { body, end } = node.body as unknown as { body: Any[]; end: number };
  const edits: Edit[] = [];
  const insert = (start: number, text: string) => edits.push({ start, end: start, text });
  for (const member of body) {
    const value = member.value as unknown as Any | null | undefined;
    if (member.static || !value) continue;
    if (member.type === 'PropertyDefinition' && !HARMLESS.test(value.type)) {
      insert(value.start, `${MARK}?void 0:(`);
      insert(value.end, ')');
    } else if (member.kind === 'constructor') {
      const after = heritageOf(node) === undefined ? 'return;' : '{super();return}';
      insert((value.body as unknown as Any).start + 1, `if(${MARK})${after}`);
    }
  }
  const object = `${prefix}object`;
  const value = `${prefix}value`;
  const fields = privatesOf(body) ?? [];
  const getters = fields.map((name) => `"${name}": (${object}) => ${object}.${name}`);
  const setters = fields.map(
    (name) => `"${name}": (${object}, ${value}) => { ${object}.${name} = ${value}; }`,
  );
  insert(end - 1, `static { ${PRIVATES}({ ${getters.join(', ')} }, { ${setters.join(', ')} }); }`);
  return edits;
}

/** The private fields of instances; undefined where instances have no private member. */
function privatesOf(body: readonly Any[]): string[] | undefined {
  const members = body.filter(
    ({ key, static: isStatic }) =>
      !isStatic && (key as unknown as Any | undefined)?.type === 'PrivateIdentifier',
  );
  if (members.length === 0) return undefined;
  return members
    .filter(({ type }) => type === 'PropertyDefinition')
    .map(({ key }) => `#${(key as unknown as { name: string }).name}`);
}

/** What a class has. @internal */
export function membersOf(node: Any | undefined, text: string, offset: number) {
  const classMembers = new Map<string, string>();
  const staticPrivates: string[] = [];
  const fieldFunctions = new Map<string, string>();
  let hasComputed = false;
  const { body = [] } = (node?.body ?? {}) as unknown as { body?: Any[] };
  for (const member of body) {
    const key = member.key as unknown as (Any & { name?: string; value?: unknown }) | undefined;
    const value = member.value as unknown as Any | null | undefined;
    if (
      member.type === 'PropertyDefinition' &&
      !member.static &&
      value &&
      /Function/.test(value.type)
    )
      fieldFunctions.set(fieldName(member), text.slice(value.start - offset, value.end - offset));
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
  return { classMembers, staticPrivates, hasComputed, privates: privatesOf(body), fieldFunctions };
}

function fieldName({ key }: Any): string {
  const { type, name, value } = key as unknown as { type: string; name?: string; value?: unknown };
  return type === 'PrivateIdentifier' ? `#${name}` : (name ?? String(value));
}
