// What the specs of `keep: 'value'` have in common.

import { atomicIndexUpdate } from '@pipeline/atomic'

export const keep = { keep: 'value' } as const

/** A function in sloppy mode, as in a script without 'use strict'. */
export const sloppy = (body: string): ((index: any) => any) => new Function('index', body) as any
export const add = (index: any) => ({ ...index, n: (index?.n ?? 0) + 1 })
export const first = { n: 0, list: [{ id: 1 }, { id: 2 }], by: { a: { tags: ['x'] } } }

/** What the function of an update is given that changes something. */
export async function given(file: string, options = {}): Promise<any> {
  let given: unknown
  const look = (index: any) => {
    given = index
    return add(index)
  }
  await atomicIndexUpdate(file, look, { ...keep, ...options })
  return given
}
