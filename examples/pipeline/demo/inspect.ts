/** Compares what is on disk with what was to be published. Nothing here relies on what the publishers report. */

import { readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { list, readIndex } from '@pipeline/atomic'
import { contentHash, serializeDocument } from '../lib/content/document'
import { entryKey, SECTIONS, type Section, toEntry } from '../lib/content/listing'
import {
  contentRoot,
  documentPath,
  indexesPath,
  isInStore,
  topicKeyOf,
  versionPath,
} from '../lib/content/paths'
import { parseJson, readIfThere } from '../lib/content/read-json'
import type { ListingEntry } from '../lib/content/types'
import { getMetrics } from '../scripts/pipeline/metrics'
import { loadContentIndex } from '../scripts/pipeline/publisher'
import { loadTopicIndex } from '../scripts/pipeline/topicIndex'
import type { Expected } from './corpus'
import { mapParallel } from './parallel'

/** The names that the addon gives to temp files and lock files. */
const LEFTOVER = /^\..*(?:\.[0-9A-Za-z]{12}\.atomic-(?:tmp|txn)|\.lock)$/

export interface Findings {
  documents: number
  listed: number
  topics: number
  counted: number
  lost: number
  duplicates: number
  torn: number
  leftovers: number
  faults: string[]
}

export async function inspect(all: readonly Expected[], content: string): Promise<Findings> {
  const [index, topics, metrics] = await Promise.all([loadContentIndex(), loadTopicIndex(), getMetrics()])
  const found: Findings = {
    documents: 0,
    listed: 0,
    topics: topics.length,
    counted: metrics.summary.totalSuccesses,
    lost: 0,
    duplicates: 0,
    torn: 0,
    leftovers: 0,
    faults: [],
  }

  const entries = new Map<string, ListingEntry>()
  for (const section of Object.values(SECTIONS)) {
    for (const entry of index[section] as ListingEntry[])
      entries.set(`${section} ${entryKey(section, entry)}`, entry)
    found.listed += index[section].length
  }
  const records = new Map(topics.map((record) => [record.topicKey, record]))
  found.duplicates = found.listed - entries.size + (topics.length - records.size)

  for (const { doc, text } of all) {
    const section: Section = SECTIONS[doc.pageType]
    const record = records.get(topicKeyOf(doc))
    const entry = entries.get(`${section} ${entryKey(section, toEntry(doc))}`)
    if (record?.status !== 'published' || record.contentHash !== contentHash(text)) {
      found.lost += 1
      found.faults.push(`${topicKeyOf(doc)} is not published in topicIndex`)
    }
    if (!isDeepStrictEqual(entry, toEntry(doc))) {
      found.lost += 1
      found.faults.push(`${topicKeyOf(doc)} is not in contentIndex as it should be`)
    }
  }

  await (isInStore() ? inspectObjects(all, found) : inspectFiles(all, content, found))
  return found
}

/** Checks every file under the content folder: it is complete, it is expected, and nothing was left over. */
async function inspectFiles(all: readonly Expected[], content: string, found: Findings): Promise<void> {
  const texts = new Map(all.map(({ doc, text }) => [documentPath(doc), text]))
  for (const path of texts.keys()) {
    const bytes = await readIfThere(path)
    if (bytes === undefined) found.faults.push(`${path} is missing`)
    else found.documents += 1
  }
  for (const file of await readdir(content, { withFileTypes: true, recursive: true })) {
    if (file.isDirectory()) continue
    const path = join(file.parentPath ?? file.path, file.name)
    // Transactions have their journal there.
    if (relative(content, path).startsWith('.atomic')) continue
    if (LEFTOVER.test(file.name)) {
      found.leftovers += 1
      found.faults.push(`${relative(content, path)} was left over`)
      continue
    }
    const bytes = (await readIfThere(path)) ?? Buffer.alloc(0)
    const expected = texts.get(path)
    const isSystem = relative(content, path).startsWith('_system')
    if (expected === undefined && !isSystem) {
      found.leftovers += 1
      found.faults.push(`${relative(content, path)} is not part of what was published`)
    } else if (isSystem ? !parses(bytes, path) : !bytes.equals(Buffer.from(expected ?? ''))) {
      found.torn += 1
      found.faults.push(`${relative(content, path)} is torn`)
    }
  }
}

/** An empty object beside the others, which a process that was killed while it tried the store could not remove. */
const PROBE = /\/\.atomic-probe-[^/]*$/

/** The same of a store. A document is one object for each version of it. */
async function inspectObjects(all: readonly Expected[], found: Findings): Promise<void> {
  const texts = new Map(all.map(({ doc, text }) => [versionPath(doc, contentHash(text)), text]))
  const strangers: string[] = []
  for await (const { path } of list(`${contentRoot()}/`)) {
    if (!texts.has(path) && path !== indexesPath() && !PROBE.test(path)) strangers.push(path)
  }
  found.leftovers += strangers.length
  found.faults.push(...strangers.map((path) => `${path} is not part of what was published`))
  await mapParallel([...texts], async ([path, text]) => {
    const { value } = await readIndex(path)
    if (value === undefined) {
      found.faults.push(`${path} is missing`)
      return
    }
    found.documents += 1
    if (serializeDocument(value) === text) return
    found.torn += 1
    found.faults.push(`${path} is torn`)
  })
}

function parses(bytes: Buffer, path: string): boolean {
  try {
    parseJson(bytes, path)
    return true
  } catch {
    return false
  }
}
