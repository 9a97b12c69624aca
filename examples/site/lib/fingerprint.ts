/** A digest of everything that a file depends on. If the digest is the same, so is the file. */

import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export function fingerprint(...parts: ReadonlyArray<string | Uint8Array>): string {
  const hash = createHash('sha256')
  // Each part is prefixed by its length, so that two different lists never give the same input.
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part)
  return hash.digest('hex').slice(0, 32)
}

/** The fingerprint of the generator itself: its code and the versions of its libraries. */
export async function generatorFingerprint(): Promise<string> {
  const names = (await readdir(__dirname)).sort()
  const code = await Promise.all(names.map((name) => readFile(join(__dirname, name))))
  const libraries = ['marked', 'sanitize-html', 'svgo', 'esbuild', '@napi-rs/image', 'xmlbuilder2'].map(
    versionOf,
  )
  return fingerprint(...names, ...code, ...(await Promise.all(libraries)))
}

async function versionOf(library: string): Promise<string> {
  const manifest = join(__dirname, '../../../node_modules', library, 'package.json')
  return `${library} ${JSON.parse(await readFile(manifest, 'utf8')).version}`
}
