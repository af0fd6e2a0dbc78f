/**
 * Classes of proxies on their way: those that `MakeProxyType` has made have no name by which another process finds them, and are made
 * again there.
 */
import type { ProxyType, ProxyTypes } from './proxy_type.ts';
import type { Registered, Registry } from './registry.ts';

/** What a class was made of. */
type Recipe = readonly [name: string, exposed: readonly string[]];

/** A class by its name, what it was made of, or null for `AutoProxy`. @internal */
export type SentType = ProxyType | Recipe | null;

const recipes = new WeakMap<object, Recipe>();

/** Notes what a class was made of. @internal */
export function noteRecipe(type: object, name: string, exposed: readonly string[]): void {
  recipes.set(type, [name, exposed]);
}

/** @internal */
export function sentType(type: ProxyType | null | undefined): SentType {
  return type ? (recipes.get(type) ?? type) : null;
}

/** What stands to the right of this file. @internal */
export const typeMakers = {} as { make: (name: string, exposed: readonly string[]) => ProxyType };

/** @internal */
export function receivedType(type: SentType): ProxyType | null {
  return Array.isArray(type) ? typeMakers.make(type[0], type[1]) : (type as ProxyType | null);
}

/** @internal */
export function sentTypes(types: ProxyTypes): Readonly<Record<string, SentType>> {
  return Object.fromEntries(Object.entries(types).map(([id, type]) => [id, sentType(type)]));
}

/** @internal */
export function receivedTypes(types: Readonly<Record<string, SentType>>): ProxyTypes {
  return Object.fromEntries(Object.entries(types).map(([id, type]) => [id, receivedType(type)]));
}

/** A registry for another process. @internal */
export type SentRegistry = ReadonlyMap<
  string,
  Omit<Registered, 'proxytype'> & { readonly proxytype: SentType }
>;

/** @internal */
export function sentRegistry(registry: Registry): SentRegistry {
  return new Map(
    [...registry].map(([id, of]) => [id, { ...of, proxytype: sentType(of.proxytype) }] as const),
  );
}

/** @internal */
export function receivedRegistry(registry: SentRegistry): Registry {
  const received: Registry = new Map();
  for (const [id, of] of registry)
    received.set(id, { ...of, proxytype: receivedType(of.proxytype) ?? undefined });
  return received;
}
