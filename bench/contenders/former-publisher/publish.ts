// How examples/pipeline published a document before there were transactions: five commits to four files, in an order in which
// a crash after any of them is repaired by publishing again. Without what it did about failures.

import { atomicWrite } from '@pipeline/atomic'
import {
  contentHash,
  type PipelineDocument,
  serializeDocument,
  validateDocument,
} from '../../../examples/pipeline/lib/content/document'
import { emptyContentIndex } from '../../../examples/pipeline/lib/content/listing'
import { contentIndexPath, documentPath } from '../../../examples/pipeline/lib/content/paths'
import { parseJson, readIfThere } from '../../../examples/pipeline/lib/content/read-json'
import type { ContentIndex } from '../../../examples/pipeline/lib/content/types'
import { contentIndexSchema, isListed, withDocument } from './listing'
import { recordSuccess } from './metrics'
import { claimTopic, getRecord, isPublishedAs, markPublished, topicOf } from './topics'
import { type IndexFile, loadIndex, updateIndex } from './update'

const contentIndexFile: IndexFile<ContentIndex> = {
  path: contentIndexPath,
  schema: contentIndexSchema,
  empty: emptyContentIndex,
  backup: true,
}

export async function formerPublishDoc(input: unknown): Promise<void> {
  const started = performance.now()
  const doc = validateDocument(input)
  const text = serializeDocument(doc)
  const topic = topicOf(doc, contentHash(text))

  const isMarked = isPublishedAs(topic, await getRecord(topic.topicKey))
  if (isMarked && (await isOnDisk(doc, text))) return
  await refuseOtherOwner(doc)
  await claimTopic(topic)
  await atomicWrite(documentPath(doc), text, { ifChanged: true })
  await updateIndex(contentIndexFile, (index) => withDocument(index, doc))
  if (!isMarked) await recordSuccess(topic, performance.now() - started)
  await markPublished(topic)
}

async function isOnDisk(doc: PipelineDocument, text: string): Promise<boolean> {
  const bytes = await readIfThere(documentPath(doc))
  return bytes?.equals(Buffer.from(text)) === true && isListed(await loadIndex(contentIndexFile), doc)
}

async function refuseOtherOwner(doc: PipelineDocument): Promise<void> {
  const path = documentPath(doc)
  const bytes = await readIfThere(path)
  const owner = bytes && (parseJson(bytes, path) as { id?: unknown } | null)?.id
  if (owner !== undefined && owner !== doc.id) throw new Error(`${path} belongs to another document`)
}
