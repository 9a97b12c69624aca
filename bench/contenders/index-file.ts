// The index that is updated: records as a publishing pipeline keeps them, about 200 bytes each as text.

import { readFile, writeFile } from 'node:fs/promises'

export interface Index {
  version: string
  /** One more with every update: a smaller number means lost updates. */
  updates: number
  /** Which process made each update, in the order of the commits. */
  turns: number[]
  records: { topicKey: string; status: string; contentHash: string; updatedAt: string; attempts: number }[]
}

export function makeIndex(records: number): Index {
  return {
    version: '1.0.0',
    updates: 0,
    turns: [],
    records: Array.from({ length: records }, (_, number) => ({
      topicKey: `blog::post-${String(number).padStart(7, '0')}`,
      status: 'published',
      contentHash: (Math.imul(number + 1, 2654435761) >>> 0).toString(16).padStart(8, '0').repeat(4),
      updatedAt: '2025-10-04T00:00:00.000Z',
      attempts: 1,
    })),
  }
}

export async function writeIndex(path: string, records: number): Promise<void> {
  await writeFile(path, JSON.stringify(makeIndex(records), null, 2))
}

export async function readIndex(path: string): Promise<Index> {
  return JSON.parse(await readFile(path, 'utf8'))
}

/** One update: changes the record of `number`, and counts itself. */
export function change(number: number, process?: number): (index: Index) => Index {
  return (index) => {
    index.updates++
    if (process !== undefined) index.turns.push(process)
    const record = index.records[number % index.records.length]
    if (record) record.attempts = 1 + ((record.attempts + 1) % 9)
    return index
  }
}

/** The same, but nothing is changed in place: what stays is shared with the index before. */
export function changed(number: number): (index: Index) => Index {
  return (index) => {
    const at = number % index.records.length
    const records = index.records.slice()
    const record = records[at]
    if (record) records[at] = { ...record, attempts: 1 + ((record.attempts + 1) % 9) }
    return { ...index, updates: index.updates + 1, records }
  }
}
