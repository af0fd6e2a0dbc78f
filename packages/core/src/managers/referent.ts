/**
 * From a proxy to what it stands for, where both are in one process.
 */

/** A method of proxies. @internal */
export const referentSymbol = Symbol('referent');

/** What a proxy stands for, if it is an object of this process's own server; any other value itself. @internal */
export function referentOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const referent = (value as { [referentSymbol]?: () => { obj: unknown } | undefined })[
    referentSymbol
  ];
  return referent === undefined ? value : (referent.call(value)?.obj ?? value);
}
