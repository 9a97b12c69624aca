/** A program of an example as one file: it is started two dozen times, in a quarter of the time that tsx takes. */

import { readFile } from 'node:fs/promises'
import { dirname, join, parse } from 'node:path'
import { type BuildOptions, build, type Plugin } from 'esbuild'

/** Binaries stay where they are, and a file's own folder is that of its source. */
function inPlace(addon: string): Plugin {
  return {
    name: 'in place',
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /^@pipeline\/atomic$/ }, () => ({ path: addon, external: true }))
      onResolve({ filter: /^(?:@napi-rs\/image|esbuild)$/ }, ({ path }) => ({
        path: require.resolve(path),
        external: true,
      }))
      onLoad({ filter: /[\\/]examples[\\/].*\.ts$/ }, async ({ path }) => ({
        // A function, as `$` in a string would be a pattern.
        contents: (await readFile(path, 'utf8')).replaceAll('__dirname', () => JSON.stringify(dirname(path))),
        loader: 'ts',
      }))
    },
  }
}

/** How `script` becomes one file. `addon` is where the package is. */
export const asOneFile = (script: string, addon: string) =>
  ({
    entryPoints: [script],
    bundle: true,
    platform: 'node',
    target: 'node20',
    // What is imported late is in the file, too; and a compiled script cannot import.
    supported: { 'dynamic-import': false },
    logLevel: 'error',
    plugins: [inPlace(addon)],
  }) satisfies BuildOptions

/**
 * Puts the bundle of `script` into `folder`. Returns its path.
 *
 * @param addon where the package is
 */
export async function bundle(
  script: string,
  folder: string,
  addon = require.resolve('@pipeline/atomic'),
): Promise<string> {
  const outfile = join(folder, `${parse(script).name}.cjs`)
  await build({ ...asOneFile(script, addon), outfile })
  return outfile
}
