/** A place in an index: a key of its top level, or a JSON Pointer (RFC 6901), which begins with a slash. */

import { isRaw } from './numbers'
import { Failure } from './run'

/** Of a value in a message, in characters. */
const MOST_SHOWN = 80

type Container = Record<string, unknown> | unknown[]

function stepsOf(key: string): string[] {
  if (!key.startsWith('/')) return [key]
  return key
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
}

const isContainer = (value: unknown): value is Container =>
  typeof value === 'object' && value !== null && !isRaw(value)

/** The length of an array is a property of its own too, and no place. */
const isPlace = (inner: Container, step: string): boolean =>
  Object.hasOwn(inner, step) && !(Array.isArray(inner) && step === 'length')

const isPosition = (step: string): boolean => /^(0|[1-9]\d*)$/.test(step)

/** `undefined` if there is nothing. */
export function get(index: unknown, key: string): unknown {
  let value = index
  for (const step of stepsOf(key)) {
    if (!isContainer(value) || !isPlace(value, step)) return undefined
    value = value[step as keyof typeof value]
  }
  return value
}

/** A file may have any JSON in it, and a function that ran before may return anything. */
function keyed(index: unknown, option: string): Container {
  if (isContainer(index)) return index
  throw new Failure(`${option}: the index is ${shown(index)}, and has no keys`)
}

/** The start of what has no keys, for a message. */
function shown(value: unknown): string {
  const text = typeof value === 'bigint' ? `${value}n` : (JSON.stringify(value) ?? String(value))
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text
}

/** Sets a place, and makes objects on the way to it. `-` is behind the end of an array. */
export function set(index: unknown, key: string, value: unknown): void {
  const steps = stepsOf(key)
  const last = steps.pop() ?? ''
  let inner = keyed(index, `--set ${key}`)
  for (const step of steps) {
    const next = isPlace(inner, step) ? inner[step as keyof typeof inner] : undefined
    if (next !== undefined && !isContainer(next)) {
      throw new Failure(`--set ${key}: "${step}" is ${shown(next)}, and has no keys`)
    }
    const made = next ?? {}
    if (next === undefined) put(inner, step, made, key)
    inner = made as Container
  }
  put(inner, last, value, key)
}

/** Deletes a place, if there is one. */
export function remove(index: unknown, key: string): void {
  keyed(index, `--delete ${key}`)
  const steps = stepsOf(key)
  const last = steps.pop() ?? ''
  const inner = steps.length > 0 ? get(index, `/${steps.map(escaped).join('/')}`) : index
  if (Array.isArray(inner)) {
    if (isPosition(last) && Number(last) < inner.length) inner.splice(Number(last), 1)
  } else if (isContainer(inner)) {
    delete (inner as Record<string, unknown>)[last]
  }
}

const escaped = (step: string): string => step.replaceAll('~', '~0').replaceAll('/', '~1')

function put(inner: Container, step: string, value: unknown, key: string): void {
  if (Array.isArray(inner)) {
    const at = step === '-' ? inner.length : Number(step)
    if (!(step === '-' || isPosition(step)) || at > inner.length) {
      throw new Failure(
        `--set ${key}: "${step}" is no place in an array of ${inner.length}: give an index, or - for a new last element`,
      )
    }
    inner[at] = value
  } else {
    // Not by assignment: `__proto__` would be no key.
    Object.defineProperty(inner, step, { value, writable: true, enumerable: true, configurable: true })
  }
}

/** A JSON Merge Patch (RFC 7396): objects are merged, `null` deletes, all else replaces. */
export function merge(target: unknown, patch: unknown): unknown {
  if (!isContainer(patch) || Array.isArray(patch)) return patch
  const merged: Container = isContainer(target) && !Array.isArray(target) ? target : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else put(merged, key, merge(Object.hasOwn(merged, key) ? merged[key] : undefined, value), key)
  }
  return merged
}
