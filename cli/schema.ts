/** A schema that a module of the user's exports. */

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { StandardSchema } from '@pipeline/atomic'
import { endable } from './endable'
import { UsageError } from './run'

/** `module#export`; without a name the default export, or the one that is called `schema`. */
export async function loadSchema(spec: string | undefined): Promise<StandardSchema | undefined> {
  if (spec === undefined) return undefined
  const at = existsSync(spec) ? -1 : spec.lastIndexOf('#')
  const [file, name] = at < 0 ? [spec, undefined] : [spec.slice(0, at), spec.slice(at + 1)]
  let exported: Record<string, unknown>
  try {
    exported = await endable(() => import(pathToFileURL(resolve(file)).href))
  } catch (error) {
    throw new UsageError(`--schema ${spec}: the module could not be loaded: ${(error as Error).message}`)
  }
  const found = name === undefined ? (exported.default ?? exported.schema) : exported[name]
  if (!isSchema(found)) {
    const names = Object.keys(exported).filter((key) => isSchema(exported[key]))
    const advice =
      names.length > 0 ? `Name one of its exports: ${names.map((key) => `${file}#${key}`).join(', ')}` : ''
    const what = name === undefined ? 'no default export, and none called "schema",' : `no export "${name}"`
    throw new UsageError(
      `--schema ${spec}: it has ${what} that is a Standard Schema (zod, valibot, arktype). ${advice}`,
    )
  }
  const standard = found['~standard']
  return { '~standard': { ...standard, validate: (value) => endable(() => standard.validate(value)) } }
}

const isSchema = (value: unknown): value is StandardSchema =>
  value !== null &&
  (typeof value === 'object' || typeof value === 'function') &&
  typeof (value as StandardSchema)['~standard']?.validate === 'function'
