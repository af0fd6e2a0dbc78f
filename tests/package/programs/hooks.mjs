import { register } from 'node:module';

register(
  'data:text/javascript,export const resolve = (specifier, context, next) => next(specifier, context);',
);
